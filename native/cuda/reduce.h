// Sums over a warp or a block and maxima over a warp, in one fixed order: the same bits every time.
#pragma once

#include <hardware.h>

namespace dllm::cuda {

// Over a warp, or over each group of so many neighbouring lanes, a power of two.
template <class T>
__device__ inline T warp_sum(T x, int lanes = WARP_SIZE) {
    for (int mask = lanes / 2; mask > 0; mask /= 2) x += shuffle_xor(x, mask);
    return x;
}

__device__ inline float warp_max(float x) {
    for (int lanes = WARP_SIZE / 2; lanes > 0; lanes /= 2) x = fmaxf(x, shuffle_xor(x, lanes));
    return x;
}

// Every thread of the block gets the sum. `partial` is shared memory of blockDim.x / 32 values; blockDim.x is a
// multiple of 32. The memory may be used again after the next sync_threads().
template <class T>
__device__ inline T block_sum(T x, T* partial) {
    const int warp = int(threadIdx.x) / WARP_SIZE, warps = int(blockDim.x) / WARP_SIZE;
    x = warp_sum(x);
    sync_threads();  // the memory may still be read from a sum before
    if (threadIdx.x % WARP_SIZE == 0) partial[warp] = x;
    sync_threads();
    T result = 0;
    for (int i = 0; i < warps; i++) result += partial[i];
    return result;
}

}  // namespace dllm::cuda
