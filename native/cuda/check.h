// Errors of CUDA and cuBLASLt as the engine's.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <string>

namespace dllm::cuda {

// Makes the device current on the calling thread. Throws ERR_DEVICE where it has failed before.
void make_current(int device);

// Throw where a call has failed, with its name: ERR_OUT_OF_MEMORY with the bytes that are free where memory was
// lacking, else ERR_DEVICE. An error that CUDA keeps (a faulting kernel) makes the current device a failed one.
void check(cudaError_t status, const char* call);
void check(cublasStatus_t status, const char* call);
// The same of an allocation of so many bytes of a kind of memory.
void check_allocation(cudaError_t status, const char* call, size_t bytes, const char* kind);

// "out of memory (cudaErrorMemoryAllocation)"
std::string describe(cudaError_t status);

}  // namespace dllm::cuda
