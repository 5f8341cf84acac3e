// Copies from global to shared memory that run beside the thread: issue, commit as a group, wait for the group.
//
// A thread waits for its own copies only; a sync_threads after the wait shows them to the block. Until then the
// destination is undefined, and a sync_threads must stand between its last reader and the copy that overwrites it.
#pragma once

#include <cuda_runtime.h>

#include "tensor_core.h"

namespace dllm::cuda {

// 16 bytes, both sides aligned to 16; zeros if not valid (global is then not read). Bypasses the L1 cache.
__device__ __forceinline__ void cp_async_16(void* shared, const void* global, bool valid = true) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
                 "l"(__cvta_generic_to_global(global)), "r"(valid ? 16 : 0)
                 : "memory");
}

// The copies issued since the last commit become a group, be it empty.
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most the N latest groups are still under way.
template <int N>
__device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

}  // namespace dllm::cuda
