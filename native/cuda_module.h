// What the CUDA module, a shared library of its own, offers to the core that opens it. Both come from one build: C++
// types cross this seam, so a module of another build is refused by its id before anything else is read.
#pragma once

#include "backend.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dllm {

struct CudaDevice {
    std::string name;
    int64_t memory;          // bytes
    int compute_capability;  // 90 for 9.0
    bool has_kernels;        // the module was compiled for it, or for an older one of its generation
};

struct CudaFacts {
    int driver_version, runtime_version;  // 13000 for 13.0
    int64_t cublas_version;
    std::string architectures;  // that the module was compiled for: "80 90"
    std::vector<CudaDevice> devices;
};

struct CudaModule {
    const char* build_id;
    CudaFacts (*facts)();  // throws ERR_DEVICE with the driver's reason when no device can be used
    std::unique_ptr<Backend> (*make_backend)(int device, DType compute);  // throws ERR_DEVICE, ERR_OUT_OF_MEMORY
};

inline constexpr char CUDA_MODULE_ENTRY[] = "dllm_cuda_module";
using CudaModuleEntry = const CudaModule* (*)();

}  // namespace dllm
