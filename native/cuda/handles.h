// Handles of CUDA and cuBLASLt, given back with these. Making one throws ERR_DEVICE, ERR_OUT_OF_MEMORY.
#pragma once

#include "check.h"

namespace dllm::cuda {

class CudaEvent {
public:
    explicit CudaEvent(unsigned flags = cudaEventDefault) {
        check(cudaEventCreateWithFlags(&handle_, flags), "cudaEventCreateWithFlags");
    }
    ~CudaEvent() { cudaEventDestroy(handle_); }
    CudaEvent(const CudaEvent&) = delete;
    CudaEvent& operator=(const CudaEvent&) = delete;

    operator cudaEvent_t() const { return handle_; }

private:
    cudaEvent_t handle_ = nullptr;
};

// Does not wait for the default stream.
class CudaStream {
public:
    CudaStream() { check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
    ~CudaStream() { cudaStreamDestroy(handle_); }
    CudaStream(const CudaStream&) = delete;
    CudaStream& operator=(const CudaStream&) = delete;

    operator cudaStream_t() const { return handle_; }

private:
    cudaStream_t handle_ = nullptr;
};

class CublasLt {
public:
    CublasLt() { check(cublasLtCreate(&handle_), "cublasLtCreate"); }
    ~CublasLt() { cublasLtDestroy(handle_); }
    CublasLt(const CublasLt&) = delete;
    CublasLt& operator=(const CublasLt&) = delete;

    operator cublasLtHandle_t() const { return handle_; }

private:
    cublasLtHandle_t handle_ = nullptr;
};

// Memory of the host that copies to a device need not stage.
class PinnedMemory {
public:
    explicit PinnedMemory(size_t bytes) {
        check_allocation(cudaMallocHost(&data_, bytes), "cudaMallocHost", bytes, "pinned host memory");
    }
    ~PinnedMemory() { cudaFreeHost(data_); }
    PinnedMemory(const PinnedMemory&) = delete;
    PinnedMemory& operator=(const PinnedMemory&) = delete;

    std::byte* data() const { return static_cast<std::byte*>(data_); }

private:
    void* data_ = nullptr;
};

}  // namespace dllm::cuda
