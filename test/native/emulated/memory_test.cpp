// Memory of the device: what is fresh, what copies accept, accounts and planted failures.
#include "../../../native/cuda/backend.h"
#include "fixture.h"

namespace dllm::emulated {
namespace {

using cuda::CudaBackend;

TEST(emulated_fresh_memory_has_all_bits_set) {
    const FreshDevice fresh;
    DeviceArray<unsigned> x(3);
    for (const unsigned value : x.download()) check_equal(value, 0xFFFFFFFFu, "fresh");
    CHECK(reinterpret_cast<uintptr_t>(x.data()) % 256 == 0);
}

TEST(emulated_allocations_are_counted) {
    const FreshDevice fresh;
    const int64_t calls = allocation_count(), live = live_allocations();
    const size_t bytes = live_bytes();
    void *device_memory = nullptr, *pinned = nullptr;
    succeed(cudaMalloc(&device_memory, 1000));
    succeed(cudaMallocHost(&pinned, 77));
    check_equal(allocation_count() - calls, 2, "calls");
    check_equal(live_allocations() - live, 2, "live");
    check_equal(live_bytes() - bytes, 1000u, "bytes of the device");
    check_error(cudaFree(pinned), cudaErrorInvalidValue);
    check_error(cudaFreeHost(device_memory), cudaErrorInvalidValue);
    check_error(cudaFree(static_cast<char*>(device_memory) + 1), cudaErrorInvalidValue);
    succeed(cudaFree(device_memory));
    succeed(cudaFreeHost(pinned));
    succeed(cudaFree(nullptr));
    check_equal(live_allocations() - live, 0, "live");
    check_equal(live_bytes() - bytes, 0u, "bytes of the device");
}

TEST(emulated_memory_has_an_end) {
    const FreshDevice fresh;
    const size_t used = live_bytes();
    set_device_memory(used + 1000);
    void* x = nullptr;
    check_error(cudaMalloc(&x, 1001), cudaErrorMemoryAllocation);
    CHECK(x == nullptr);
    succeed(cudaMalloc(&x, 600));
    size_t free = 0, total = 0;
    succeed(cudaMemGetInfo(&free, &total));
    check_equal(free, 400u, "free");
    check_equal(total, used + 1000, "total");
    void* y = nullptr;
    check_error(cudaMalloc(&y, 500), cudaErrorMemoryAllocation);
    succeed(cudaMallocHost(&y, 5000));  // of the host
    succeed(cudaFreeHost(y));
    succeed(cudaFree(x));
}

TEST(emulated_planted_allocation_failure_happens_once) {
    const FreshDevice fresh;
    fail_allocation(2);
    void *x = nullptr, *y = nullptr;
    succeed(cudaMalloc(&x, 8));
    check_error(cudaMallocHost(&y, 8), cudaErrorMemoryAllocation);
    check_error(cudaGetLastError(), cudaErrorMemoryAllocation);
    succeed(cudaMallocHost(&y, 8));
    succeed(cudaFree(x));
    succeed(cudaFreeHost(y));
}

TEST(emulated_copies_stay_within_an_allocation) {
    const FreshDevice fresh;
    std::vector<char> host(64);
    DeviceArray<char> x(32), y(32);
    const auto copy = [&](void* to, const void* from, size_t count, cudaMemcpyKind kind) {
        return cudaMemcpyAsync(to, from, count, kind, nullptr);
    };
    check_error(copy(x.data(), host.data(), 33, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    check_error(copy(x.data() + 31, host.data(), 2, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    check_error(copy(host.data(), x.data() - 1, 2, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    check_error(copy(x.data(), host.data(), 4, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
    check_error(copy(x.data(), y.data(), 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    check_error(copy(x.data(), y.data(), 4, cudaMemcpyKind(7)), cudaErrorInvalidMemcpyDirection);
    check_error(cudaMemsetAsync(x.data(), 0, 33, nullptr), cudaErrorInvalidValue);
    succeed(copy(x.data(), host.data(), 32, cudaMemcpyDefault));
    succeed(cudaMemset(x.data() + 8, 7, 8));
    succeed(copy(y.data() + 16, x.data(), 16, cudaMemcpyDeviceToDevice));
    const std::vector<char> result = y.download();
    check_equal(int(result[23]), 0, "copied");
    check_equal(int(result[24]), 7, "filled, then copied");
}

TEST(emulated_copies_of_rows) {
    const FreshDevice fresh;
    std::vector<float> values(3 * 4), back(3 * 5, -1.0f);
    for (size_t i = 0; i < values.size(); i++) values[i] = float(i);
    DeviceArray<float> x(3 * 7);
    succeed(cudaMemcpy2DAsync(x.data() + 1, 7 * 4, values.data(), 4 * 4, 4 * 4, 3, cudaMemcpyHostToDevice));
    succeed(cudaMemcpy2DAsync(back.data(), 5 * 4, x.data() + 2, 7 * 4, 2 * 4, 3, cudaMemcpyDeviceToHost));
    check_equal(back, std::vector<float>{1, 2, -1, -1, -1, 5, 6, -1, -1, -1, 9, 10, -1, -1, -1}, "rows");
    const auto copy = [&](size_t width, size_t height) {
        return cudaMemcpy2DAsync(x.data(), 7 * 4, values.data(), 4 * 4, width, height, cudaMemcpyHostToDevice);
    };
    succeed(cudaMemset2DAsync(x.data() + 2, 7 * 4, 0, 4, 3));
    succeed(cudaMemcpy2DAsync(back.data(), 5 * 4, x.data() + 2, 7 * 4, 2 * 4, 3, cudaMemcpyDeviceToHost));
    check_equal(back, std::vector<float>{0, 2, -1, -1, -1, 0, 6, -1, -1, -1, 0, 10, -1, -1, -1}, "filled rows");
    check_error(cudaMemset2DAsync(x.data(), 7 * 4, 0, 4, 4), cudaErrorInvalidValue);
    check_error(cudaMemset2DAsync(x.data(), 3, 0, 4, 1), cudaErrorInvalidPitchValue);
    check_error(copy(5 * 4, 2), cudaErrorInvalidPitchValue);
    check_error(copy(4 * 4, 4), cudaErrorInvalidValue);
    succeed(copy(0, 4));
}

TEST(emulated_copies_of_rows_have_a_longest_pitch) {
    const FreshDevice fresh;
    DeviceArray<float> x(4), y(4);
    const size_t most = (size_t(1) << 31) - 1;
    const auto copy = [&](size_t to_pitch, size_t from_pitch) {
        return cudaMemcpy2DAsync(y.data(), to_pitch, x.data(), from_pitch, 16, 1, cudaMemcpyDeviceToDevice);
    };
    succeed(copy(most, most));
    check_error(copy(most + 1, most), cudaErrorInvalidPitchValue);
    check_error(copy(most, most + 1), cudaErrorInvalidPitchValue);
}

// One row is as long as all parameters of a model, beyond any pitch.
TEST(emulated_backend_copies_a_row_of_any_pitch) {
    const FreshDevice fresh;
    CudaBackend backend(0, DType::f32);
    DeviceArray<float> x(std::vector<float>{1, 2, 3, 4}), y(4);
    const int64_t stride = int64_t(1) << 30;
    backend.copy({y.data(), 1, 4, 4, DType::f32}, {x.data(), 1, 4, stride, DType::f32});
    check_equal(y.download(), x.download(), "copied");
}

}  // namespace
}  // namespace dllm::emulated
