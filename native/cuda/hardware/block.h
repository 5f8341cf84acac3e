// What the threads of a block share: memory and a barrier.
#pragma once

#include <cuda_runtime.h>

namespace dllm::cuda {

// The start of the dynamic shared bytes that the launch asked for; aligned to 16 bytes. What it holds at the start of a
// block is undefined. Every type names the same bytes.
template <class T>
__device__ __forceinline__ T* shared_memory() {
    extern __shared__ __align__(16) unsigned char dynamic_shared_bytes[];
    return reinterpret_cast<T*>(dynamic_shared_bytes);
}

// Waits for all threads of the block; what they wrote before it, all of them see after it.
__device__ __forceinline__ void sync_threads() { __syncthreads(); }

}  // namespace dllm::cuda
