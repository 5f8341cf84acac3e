// Launching: where each thread finds itself, its arguments, the limits of the device, and a kernel of the usual kind.
#include <hardware.h>

#include "fixture.h"

#include <cmath>
#include <stdexcept>

namespace dllm::emulated {
namespace {

using namespace cuda;

__global__ void number_threads_kernel(int* out) {
    const int block = int(blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z));
    const int threads = int(blockDim.x * blockDim.y * blockDim.z);
    out[block * threads + thread_index()] = 100000 * int(threadIdx.z) + 10000 * int(threadIdx.y) +
                                            1000 * int(threadIdx.x) + 100 * lane_id() + 10 * warp_id() + block;
}

TEST(emulated_threads_know_where_they_are) {
    const FreshDevice fresh;
    const auto results = in_every_order([] {
        DeviceArray<int> out(2 * 3 * 2 * (5 * 3 * 3));
        succeed(launch(number_threads_kernel, dim3(2, 3, 2), dim3(5, 3, 3), 0, nullptr, out.data()));
        return out.download();
    });
    for (const std::vector<int>& result : results) {
        for (int i = 0; i < int(result.size()); i++) {
            const int block = i / 45, t = i % 45;
            const int expected =
                100000 * (t / 15) + 10000 * (t / 5 % 3) + 1000 * (t % 5) + 100 * (t % 32) + 10 * (t / 32) + block;
            check_equal(result[size_t(i)], expected, "thread");
        }
    }
}

__global__ void scale_kernel(float* out, float factor, int64_t count) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < count) out[i] *= factor;
}

TEST(emulated_launch_converts_arguments) {
    DeviceArray<float> x(std::vector<float>{1, 2, 3});
    succeed(launch(scale_kernel, 2, 2, 0, nullptr, x.data(), 2, 3));  // int to float and to int64_t
    check_equal(x.download(), std::vector<float>{2, 4, 6}, "scaled");
}

TEST(emulated_launch_refuses_what_the_device_lacks) {
    const FreshDevice fresh;
    DeviceArray<float> x(1);
    const auto error = [&](dim3 grid, dim3 block, size_t shared) {
        return launch(scale_kernel, grid, block, shared, nullptr, x.data(), 1.0f, 0);
    };
    check_error(error(1, 1024, 160 * 1024), cudaSuccess);
    check_error(error(1, 1025, 0), cudaErrorInvalidConfiguration);
    check_error(error(1, dim3(32, 33), 0), cudaErrorInvalidConfiguration);
    check_error(error(1, dim3(1, 1, 65), 0), cudaErrorInvalidConfiguration);
    check_error(error(0, 1, 0), cudaErrorInvalidConfiguration);
    check_error(error(dim3(1, 65536), 1, 0), cudaErrorInvalidConfiguration);
    check_error(error(1, 1, 160 * 1024 + 1), cudaErrorInvalidValue);
    check_error(cudaGetLastError(), cudaErrorInvalidValue);
    check_error(cudaGetLastError(), cudaSuccess);
}

// The sum over the block, in every thread.
__device__ float block_sum(float value) {
    float* sums = shared_memory<float>();
    for (int distance = WARP_SIZE / 2; distance > 0; distance /= 2) value += shuffle_xor(value, distance);
    if (lane_id() == 0) sums[warp_id()] = value;
    sync_threads();
    float sum = 0;
    for (int warp = 0; warp < int(blockDim.x) / WARP_SIZE; warp++) sum += sums[warp];
    sync_threads();  // the sums are overwritten by the next call
    return sum;
}

// x (N, C) -> out (N, C); one block per row
__global__ void layer_norm_kernel(float* out, const float* x, int64_t C, float eps) {
    const float* row = x + int64_t(blockIdx.x) * C;
    float sum = 0;
    for (int64_t c = threadIdx.x; c < C; c += blockDim.x) sum += row[c];
    const float mean = block_sum(sum) / float(C);
    float squares = 0;
    for (int64_t c = threadIdx.x; c < C; c += blockDim.x) squares += (row[c] - mean) * (row[c] - mean);
    const float rstd = 1.0f / std::sqrt(block_sum(squares) / float(C) + eps);
    for (int64_t c = threadIdx.x; c < C; c += blockDim.x) {
        out[int64_t(blockIdx.x) * C + c] = (row[c] - mean) * rstd;
    }
}

TEST(emulated_layer_norm_is_right_in_every_order) {
    const FreshDevice fresh;
    constexpr int N = 48, C = 768, THREADS = 256;
    std::vector<float> values(N * C), expected(N * C);
    for (int i = 0; i < N * C; i++) values[size_t(i)] = std::sin(float(i)) + float(i % 7);
    for (int n = 0; n < N; n++) {
        double mean = 0, squares = 0;
        for (int c = 0; c < C; c++) mean += double(values[size_t(n * C + c)]) / C;
        for (int c = 0; c < C; c++) squares += std::pow(double(values[size_t(n * C + c)]) - mean, 2) / C;
        for (int c = 0; c < C; c++) {
            expected[size_t(n * C + c)] = float((double(values[size_t(n * C + c)]) - mean) / std::sqrt(squares + 1e-5));
        }
    }
    DeviceArray<float> x(values);
    const auto results = in_every_order([&] {
        DeviceArray<float> out(N * C);
        const size_t shared = THREADS / WARP_SIZE * sizeof(float);
        succeed(launch(layer_norm_kernel, N, THREADS, shared, nullptr, out.data(), x.data(), C, 1e-5f));
        return out.download();
    });
    for (const std::vector<float>& result : results) {
        check_close(result, expected, 1e-6, "layer norm");
        check_equal(result, results[0], "same bits");
    }
}

__global__ void throwing_kernel() {
    if (threadIdx.x == 3) throw std::runtime_error("from the kernel");
    sync_threads();
}

TEST(emulated_exceptions_of_a_kernel_leave_the_launch) {
    check_throws([] { succeed(launch(throwing_kernel, 2, 64, 0, nullptr)); }, "from the kernel");
    DeviceArray<float> x(std::vector<float>{1});  // and the fibers are usable again
    succeed(launch(scale_kernel, 1, 64, 0, nullptr, x.data(), 2.0f, 1));
    check_equal(x.download()[0], 2.0f, "next launch");
}

}  // namespace
}  // namespace dllm::emulated
