// Accesses to global memory with a hint, and atomic counters.
#pragma once

#include <cuda_runtime.h>

namespace dllm::cuda {

// For data that is touched once: evicted first from the caches. T is a float, an integer or one of CUDA's vectors of 4,
// 8 or 16 bytes; the address is aligned to its size.
template <class T>
__device__ __forceinline__ T load_streaming(const T* global) {
    return __ldcs(global);
}

template <class T>
__device__ __forceinline__ void store_streaming(T* global, T value) {
    __stcs(global, value);
}

// Returns the value before the addition. Integers only: the order of float atomics is not deterministic.
__device__ __forceinline__ int atomic_add(int* address, int value) { return atomicAdd(address, value); }

}  // namespace dllm::cuda
