// The tests of the emulation as a detector: kernels with one planted fault each, every one of which must be found.
#include <hardware.h>

#include "fixture.h"

#include <algorithm>
#include <cmath>

namespace dllm::emulated {
namespace {

using namespace cuda;

constexpr int THREADS = 128;

// Reverses THREADS values through shared memory; with the planted fault there is no barrier between write and read.
__global__ void reverse_kernel(float* out, const float* x, bool barrier) {
    float* shared = shared_memory<float>();
    const int i = thread_index();
    shared[i] = x[i];
    if (barrier) sync_threads();
    out[i] = shared[THREADS - 1 - i];
}

TEST(emulated_missing_barrier_gives_a_wrong_result) {
    const FreshDevice fresh;
    std::vector<float> values(THREADS);
    for (size_t i = 0; i < values.size(); i++) values[i] = float(i);
    const std::vector<float> expected(values.rbegin(), values.rend());
    DeviceArray<float> x(values);
    for (const bool barrier : {true, false}) {
        const auto results = in_every_order([&] {
            DeviceArray<float> out(THREADS);
            succeed(
                launch(reverse_kernel, 1, THREADS, THREADS * sizeof(float), nullptr, out.data(), x.data(), barrier));
            return out.download();
        });
        for (const auto& result : results) CHECK((result == expected) == barrier);
    }
}

// Neighbours in one direction only: one of the two directions is right by luck in one order.
__global__ void neighbour_kernel(int* out, int step) {
    int* shared = shared_memory<int>();
    const int i = thread_index();
    shared[i] = i;
    out[i] = shared[(i + step + THREADS) % THREADS];
}

TEST(emulated_orders_complement_each_other) {
    const FreshDevice fresh;
    for (const int step : {1, -1}) {
        int wrong = 0;
        for (const std::vector<int>& result : in_every_order([step] {
                 DeviceArray<int> out(THREADS);
                 succeed(launch(neighbour_kernel, 1, THREADS, THREADS * sizeof(int), nullptr, out.data(), step));
                 return out.download();
             })) {
            const auto unwritten = std::count(result.begin(), result.end(), -1);  // all bits set
            wrong += unwritten > 1 ? 1 : 0;
        }
        CHECK(wrong > 0);
    }
}

// Adjacent blocks that rely on each other's order.
__global__ void running_sum_kernel(int* sums) {
    const int i = int(blockIdx.x);
    sums[i] = i == 0 ? 1 : sums[i - 1] + 1;
}

TEST(emulated_blocks_that_depend_on_each_other_are_found) {
    const FreshDevice fresh;
    int wrong = 0;
    for (const std::vector<int>& result : in_every_order([] {
             DeviceArray<int> sums(40);
             succeed(launch(running_sum_kernel, 40, 1, 0, nullptr, sums.data()));
             return sums.download();
         })) {
        wrong += result.back() == 40 ? 0 : 1;
    }
    check_equal(wrong, 4, "all orders but the ascending one");
}

__global__ void unwritten_kernel(float* out, const float* x) {
    float* shared = shared_memory<float>();
    if (thread_index() < THREADS - 1) shared[thread_index()] = x[thread_index()];
    sync_threads();
    out[thread_index()] = shared[thread_index()];
}

TEST(emulated_unwritten_shared_memory_is_nan) {
    const FreshDevice fresh;
    DeviceArray<float> x(std::vector<float>(THREADS, 1.0f)), out(THREADS);
    for (int repeat = 0; repeat < 2; repeat++) {  // what the block before left is gone
        succeed(launch(unwritten_kernel, 2, THREADS, THREADS * sizeof(float), nullptr, out.data(), x.data()));
        const std::vector<float> result = out.download();
        check_equal(result[THREADS - 2], 1.0f, "written");
        CHECK(std::isnan(result[THREADS - 1]));
    }
}

__global__ void write_global_kernel(float* out, int block, int offset) {
    if (int(blockIdx.x) == block && threadIdx.x == 0) stray_write(out + offset, 1.0f);
}

TEST(emulated_writes_out_of_global_memory_are_found) {
    const FreshDevice fresh;
    DeviceArray<float> before(5), x(7), after(5);
    const auto write = [&](int offset) {
        succeed(launch(write_global_kernel, 4, 32, 0, nullptr, x.data(), 2, offset));
    };
    write(6);
    check_throws([&] { write(7); },
                 "write_global_kernel(float*, int, int), block (2, 0, 0): wrote to memory 0 bytes past "
                 "the end of an allocation of 28 bytes");
    check_throws([&] { write(100); }, "372 bytes past the end of an allocation of 28 bytes");
    check_throws([&] { write(-1); }, "4 bytes before the start of an allocation of 28 bytes");
    write(0);  // each is reported once
}

TEST(emulated_writes_by_the_host_are_found_when_memory_is_freed) {
    const FreshDevice fresh;
    float* x = nullptr;
    succeed(cudaMalloc(&x, 28));
    stray_write(x + 7, 1.0f);
    succeed(cudaFree(x));
    DeviceArray<float> y(1);
    check_throws([&] { succeed(launch(write_global_kernel, 1, 1, 0, nullptr, y.data(), 0, 0)); },
                 "found when it was freed: something wrote to memory 0 bytes past the end");
}

__global__ void write_shared_kernel(int offset) {
    if (blockIdx.x == 1 && thread_index() == 5) stray_write(shared_memory<float>() + offset, 1.0f);
}

TEST(emulated_writes_out_of_shared_memory_are_found) {
    const FreshDevice fresh;
    const auto write = [](int offset) { succeed(launch(write_shared_kernel, 2, 32, 44, nullptr, offset)); };
    write(10);
    check_throws(
        [&] { write(11); },
        "write_shared_kernel(int), block (1, 0, 0): wrote 0 bytes past the end of the block's 44 bytes of shared "
        "memory");
    check_throws([&] { write(-2); }, "wrote 8 bytes before the start of the block's 44 bytes");
    write(0);
}

__global__ void some_return_kernel() {
    if (thread_index() == 70) return;
    sync_threads();
}

__global__ void two_barriers_kernel() {
    if (thread_index() < 64) {
        sync_threads();
    } else {
        sync_threads();
    }
}

__global__ void half_shuffle_kernel(int* out) {
    if (lane_id() < 16) out[thread_index()] = shuffle_xor(lane_id(), 1);
}

__global__ void two_shuffles_kernel(int* out) {
    if (lane_id() % 2 == 0) {
        out[thread_index()] = shuffle_xor(lane_id(), 1);
    } else {
        out[thread_index()] = shuffle_xor(lane_id(), 1);
    }
}

__global__ void barrier_against_shuffle_kernel(int* out) {
    if (lane_id() == 0) sync_threads();
    out[thread_index()] = shuffle(lane_id(), 0);
}

__global__ void wrong_mask_kernel(unsigned* out) {
    out[thread_index()] = ballot(true, lane_id() < 16 ? 0x0000FFFFu : 0x0000FF00u);
}

__global__ void read_outside_mask_kernel(int* out) {
    if (lane_id() < 16) out[thread_index()] = shuffle(lane_id(), 20, 0x0000FFFFu);
}

TEST(emulated_divergent_waits_are_found) {
    const FreshDevice fresh;
    DeviceArray<int> out(THREADS);
    DeviceArray<unsigned> votes(THREADS);
    const auto check = [&](auto kernel, const char* message, auto... arguments) {
        for (const auto& text : in_every_order([&] {
                 try {
                     succeed(launch(kernel, 1, THREADS, 0, nullptr, arguments...));
                 } catch (const Fault& fault) {
                     return std::string(fault.what());
                 }
                 return std::string("nothing was found");
             })) {
            if (text.find(message) == std::string::npos) throw test::Failure{text, std::source_location::current()};
        }
    };
    check(some_return_kernel, "sync_threads at test/native/emulated/fault_test.cpp:");
    check(some_return_kernel, "but thread (70, 0, 0) has ended");
    check(two_barriers_kernel, "thread (0, 0, 0): waits in sync_threads at test/native/emulated/fault_test.cpp:");
    check(two_barriers_kernel, "but thread (64, 0, 0) waits in sync_threads");
    check(half_shuffle_kernel, "waits in shuffle_xor of 0xFFFFFFFF at", out.data());
    check(half_shuffle_kernel, "but thread (16, 0, 0) has ended", out.data());
    check(two_shuffles_kernel, "but thread (1, 0, 0) waits in shuffle_xor of 0xFFFFFFFF at", out.data());
    check(barrier_against_shuffle_kernel, "but thread (0, 0, 0) waits in sync_threads", out.data());
    check(wrong_mask_kernel, "ballot: the mask lacks the own lane", votes.data());
    check(read_outside_mask_kernel, "reads lane 20, which is not in the mask", out.data());
}

TEST(emulated_lanes_beyond_the_block_are_found) {
    const FreshDevice fresh;
    DeviceArray<int> out(40);
    check_throws([&] { succeed(launch(two_shuffles_kernel, 1, 40, 0, nullptr, out.data())); },
                 "thread (32, 0, 0): shuffle_xor: the mask has lanes that the block does not have");
}

__global__ void streaming_kernel(const float* x, float* out, int offset) {
    const auto* from = reinterpret_cast<const float4*>(x + offset);
    store_streaming(reinterpret_cast<float4*>(out), load_streaming(from));
}

TEST(emulated_streaming_accesses_check_their_addresses) {
    const FreshDevice fresh;
    DeviceArray<float> x(std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}), out(4);
    const auto load = [&](int offset) {
        succeed(launch(streaming_kernel, 1, 1, 0, nullptr, x.data(), out.data(), offset));
    };
    load(4);
    check_equal(out.download(), std::vector<float>{4, 5, 6, 7}, "loaded");
    check_throws([&] { load(2); }, "load_streaming: an address in global memory that is not a multiple of 16");
    check_throws([&] { load(8); }, "load_streaming: 16 bytes at offset 32 of an allocation of 40 bytes");
    check_throws([&] { load(1 << 20); }, "load_streaming: an address outside of all global memory");
}

}  // namespace
}  // namespace dllm::emulated
