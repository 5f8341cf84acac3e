// Asynchronous copies: they land at their wait and no sooner.
#include <hardware.h>

#include "fixture.h"

#include <cmath>

namespace dllm::emulated {
namespace {

using namespace cuda;

constexpr int THREADS = 32, STAGES = 3;

// Sums STAGES + 2 tiles of 4 floats per thread through a ring of STAGES buffers. `waits` is how many waits are made.
__global__ void pipeline_kernel(float* out, const float* x, int tiles, bool waits) {
    auto* ring = shared_memory<float4>();
    const auto fetch = [&](int tile) {
        if (tile < tiles) {
            cp_async_16(ring + tile % STAGES * THREADS + lane_id(), x + (tile * THREADS + lane_id()) * 4);
        }
        cp_async_commit();  // one group per tile, even if there is none left
    };
    for (int tile = 0; tile < STAGES - 1; tile++) fetch(tile);
    float sum = 0;
    for (int tile = 0; tile < tiles; tile++) {
        if (waits) cp_async_wait<STAGES - 2>();
        sync_threads();
        const float4 v = ring[tile % STAGES * THREADS + (lane_id() + 1) % THREADS];  // another thread's copy
        sum += v.x + v.y + v.z + v.w;
        fetch(tile + STAGES - 1);
    }
    out[lane_id()] = sum;
}

std::vector<float> run_pipeline(bool waits) {
    constexpr int TILES = STAGES + 2;
    std::vector<float> values(TILES * THREADS * 4);
    for (size_t i = 0; i < values.size(); i++) values[i] = float(i);
    DeviceArray<float> x(values), out(THREADS);
    const size_t shared = STAGES * THREADS * sizeof(float4);
    succeed(launch(pipeline_kernel, 1, THREADS, shared, nullptr, out.data(), x.data(), TILES, waits));
    return out.download();
}

TEST(emulated_copies_land_at_their_wait) {
    const FreshDevice fresh;
    for (const std::vector<float>& result : in_every_order([] { return run_pipeline(true); })) {
        for (int lane = 0; lane < THREADS; lane++) {
            float expected = 0;
            for (int tile = 0; tile < STAGES + 2; tile++) {
                for (int i = 0; i < 4; i++) expected += float((tile * THREADS + (lane + 1) % THREADS) * 4 + i);
            }
            check_equal(result[size_t(lane)], expected, "sum");
        }
    }
}

TEST(emulated_copies_without_a_wait_give_nan) {
    const FreshDevice fresh;
    for (const std::vector<float>& result : in_every_order([] { return run_pipeline(false); })) {
        for (const float sum : result) CHECK(std::isnan(sum));
    }
}

// Overwrites what is being read: the second fetch starts with no barrier after the readers.
__global__ void overwrite_kernel(float* out, const float* x) {
    auto* tile = shared_memory<float4>();
    for (int round = 0; round < 2; round++) {
        cp_async_16(tile + lane_id(), x + (round * THREADS + lane_id()) * 4);
        cp_async_commit();
        cp_async_wait<0>();
        sync_threads();
        out[round * THREADS + lane_id()] = tile[THREADS - 1 - lane_id()].x;
    }
}

TEST(emulated_copies_show_a_destination_still_in_use) {
    const FreshDevice fresh;
    std::vector<float> values(2 * THREADS * 4);
    for (size_t i = 0; i < values.size(); i++) values[i] = float(i);
    DeviceArray<float> x(values);
    int wrong = 0;
    for (const auto& result : in_every_order([&] {
             DeviceArray<float> out(2 * THREADS);
             succeed(launch(overwrite_kernel, 1, THREADS, THREADS * sizeof(float4), nullptr, out.data(), x.data()));
             return out.download();
         })) {
        for (size_t lane = 0; lane < THREADS; lane++) wrong += result[lane] == values[(THREADS - 1 - lane) * 4] ? 0 : 1;
    }
    CHECK(wrong > 0);
}

__global__ void padded_kernel(float* out, const float* x, int valid) {
    auto* tile = shared_memory<float4>();
    cp_async_16(tile + lane_id(), lane_id() < valid ? x + 4 * lane_id() : nullptr, lane_id() < valid);
    cp_async_commit();
    cp_async_wait<0>();
    out[lane_id()] = tile[lane_id()].w;
}

TEST(emulated_copies_that_are_not_valid_give_zeros) {
    const FreshDevice fresh;
    DeviceArray<float> x(std::vector<float>{0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}), out(THREADS);
    succeed(launch(padded_kernel, 1, THREADS, THREADS * sizeof(float4), nullptr, out.data(), x.data(), 3));
    std::vector<float> expected(THREADS);
    for (size_t i = 0; i < 3; i++) expected[i] = float(i + 1);
    check_equal(out.download(), expected, "padded");
}

__global__ void copy_kernel(const float* x, int shared_offset, int global_offset) {
    cp_async_16(shared_memory<float>() + shared_offset, x + global_offset);
}

TEST(emulated_copies_check_their_addresses) {
    const FreshDevice fresh;
    DeviceArray<float> x(8);
    const auto copy = [&](int shared_offset, int global_offset) {
        succeed(launch(copy_kernel, 1, 1, 32, nullptr, x.data(), shared_offset, global_offset));
    };
    copy(4, 4);
    check_throws([&] { copy(1, 4); }, "cp_async_16: an address in shared memory that is not a multiple of 16");
    check_throws([&] { copy(4, 1); }, "cp_async_16: an address in global memory that is not a multiple of 16");
    check_throws([&] { copy(8, 4); }, "cp_async_16: 16 bytes at offset 32 of 32 bytes of shared memory");
    check_throws([&] { copy(4, 8); }, "cp_async_16: 16 bytes at offset 32 of an allocation of 32 bytes");
}

}  // namespace
}  // namespace dllm::emulated
