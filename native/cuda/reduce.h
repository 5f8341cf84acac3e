// Sums and maxima over a warp or a block, in one fixed order: the same bits every time.
#pragma once

#include <hardware.h>

#include <cstdint>

namespace dllm::cuda {

constexpr int WARP = 32;

__device__ inline float warp_sum(float x) {
    for (int lanes = WARP / 2; lanes > 0; lanes /= 2) x += shuffle_xor(x, lanes);
    return x;
}

__device__ inline float warp_max(float x) {
    for (int lanes = WARP / 2; lanes > 0; lanes /= 2) x = fmaxf(x, shuffle_xor(x, lanes));
    return x;
}

// Every thread of the block gets the result. `partial` is shared memory of blockDim.x / 32 floats; blockDim.x is a
// multiple of 32. The memory may be used again after the next sync_threads().
template <class Combine>
__device__ inline float block_reduce(float x, float* partial, float start, const Combine& combine) {
    const int warp = int(threadIdx.x) / WARP, warps = int(blockDim.x) / WARP;
    sync_threads();  // the memory may still be read from a reduction before
    if (threadIdx.x % WARP == 0) partial[warp] = x;
    sync_threads();
    float result = start;
    for (int i = 0; i < warps; i++) result = combine(result, partial[i]);
    return result;
}

__device__ inline float block_sum(float x, float* partial) {
    return block_reduce(warp_sum(x), partial, 0, [](float a, float b) { return a + b; });
}

__device__ inline float block_max(float x, float* partial) {
    return block_reduce(warp_max(x), partial, -INFINITY, [](float a, float b) { return fmaxf(a, b); });
}

}  // namespace dllm::cuda
