// The CUDA devices of this process, through a CUDA module that is opened on first use. Whatever is missing is the
// reason why there are none; the CPU backend needs nothing of this.
#pragma once

#include "cuda_module.h"

#include <memory>
#include <mutex>
#include <string>

namespace dllm {

// What the build says of itself.
struct CudaBuild {
    std::string id;
    bool has_module;
    std::string reason;  // why it has none
};

class CudaDevices {
public:
    CudaDevices(std::string path, CudaBuild build) : path_(std::move(path)), build_(std::move(build)) {}
    CudaDevices(const CudaDevices&) = delete;
    CudaDevices& operator=(const CudaDevices&) = delete;

    // Where no device can be had, `problem` says why.
    CudaFacts facts();

    // Throws ERR_DEVICE with the reason where that device cannot be used, ERR_OUT_OF_MEMORY.
    std::unique_ptr<Backend> make_backend(int64_t device, DType compute);

    // The module's file; empty where the build has none.
    std::string module_file() const;

private:
    const CudaModule* module();

    const std::string path_;
    const CudaBuild build_;
    std::once_flag opened_;
    const CudaModule* module_ = nullptr;
    std::string problem_;  // why it was not opened
};

}  // namespace dllm
