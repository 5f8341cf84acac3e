// The 32 threads of a warp: who is who, and exchanges between their registers.
//
// All lanes of the mask must make the same call; `v` is float, double, or a 32- or 64-bit integer.
#pragma once

#include <cuda_runtime.h>

namespace dllm::cuda {

inline constexpr int WARP_SIZE = 32;
inline constexpr unsigned FULL_WARP = 0xFFFFFFFFu;

// The thread's number in its block; consecutive numbers make up the warps.
__device__ __forceinline__ int thread_index() {
    return int(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
}

__device__ __forceinline__ int lane_id() { return thread_index() % WARP_SIZE; }
__device__ __forceinline__ int warp_id() { return thread_index() / WARP_SIZE; }

// Waits for the lanes of the mask; what they wrote before it, all of them see after it.
__device__ __forceinline__ void sync_warp(unsigned mask = FULL_WARP) { __syncwarp(mask); }

// v of lane `lane_id() ^ lane_mask`
template <class T>
__device__ __forceinline__ T shuffle_xor(T v, int lane_mask, unsigned mask = FULL_WARP) {
    return __shfl_xor_sync(mask, v, lane_mask);
}

// v of lane `lane`, which each lane may choose for itself
template <class T>
__device__ __forceinline__ T shuffle(T v, int lane, unsigned mask = FULL_WARP) {
    return __shfl_sync(mask, v, lane);
}

// One bit per lane of the mask: whether its predicate holds
__device__ __forceinline__ unsigned ballot(bool predicate, unsigned mask = FULL_WARP) {
    return __ballot_sync(mask, predicate);
}

__device__ __forceinline__ bool any(bool predicate, unsigned mask = FULL_WARP) {
    return __any_sync(mask, predicate) != 0;
}

}  // namespace dllm::cuda
