// Sums and maxima over a warp or a block, in one fixed order: the same bits every time.
#pragma once

#include <hardware.h>

#include <cstdint>

namespace dllm::cuda {

constexpr int WARP = 32;

template <class T>
__device__ inline T warp_sum(T x) {
    for (int lanes = WARP / 2; lanes > 0; lanes /= 2) x += shuffle_xor(x, lanes);
    return x;
}

__device__ inline float warp_max(float x) {
    for (int lanes = WARP / 2; lanes > 0; lanes /= 2) x = fmaxf(x, shuffle_xor(x, lanes));
    return x;
}

// Every thread of the block gets the result. `partial` is shared memory of blockDim.x / 32 values; blockDim.x is a
// multiple of 32. The memory may be used again after the next sync_threads().
template <class T, class Combine>
__device__ inline T block_reduce(T x, T* partial, T start, const Combine& combine) {
    const int warp = int(threadIdx.x) / WARP, warps = int(blockDim.x) / WARP;
    sync_threads();  // the memory may still be read from a reduction before
    if (threadIdx.x % WARP == 0) partial[warp] = x;
    sync_threads();
    T result = start;
    for (int i = 0; i < warps; i++) result = combine(result, partial[i]);
    return result;
}

template <class T>
__device__ inline T block_sum(T x, T* partial) {
    return block_reduce(warp_sum(x), partial, T(0), [](T a, T b) { return a + b; });
}

__device__ inline float block_max(float x, float* partial) {
    return block_reduce(warp_max(x), partial, float(-INFINITY), [](float a, float b) { return fmaxf(a, b); });
}

}  // namespace dllm::cuda
