// What the CUDA module, a shared library of its own, offers to the core that opens it. Both come from one build: C++
// types cross this seam, so a module of another build is refused by its id before anything else is read.
#pragma once

#include "backend.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dllm {

// 13010 -> "13.1"
inline std::string cuda_version_text(int version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// 90 -> "9.0"
inline std::string capability_text(int compute_capability) {
    return std::to_string(compute_capability / 10) + "." + std::to_string(compute_capability % 10);
}

struct CudaDevice {
    std::string name;
    int64_t memory = 0;          // bytes
    int compute_capability = 0;  // 90 for 9.0
    std::string problem;         // why it cannot be used; empty where it can
};

struct CudaFacts {
    int driver_version = 0, runtime_version = 0;  // 13010 for 13.1; the driver's is 0 where there is none
    int64_t cublas_version = 0;                   // 130101 for 13.1.1
    std::string architectures;                    // that the module was compiled for: "80 90"
    std::vector<CudaDevice> devices;
    std::string problem;  // why no device can be had; empty where there are some
};

struct CudaModule {
    const char* build_id;
    CudaFacts (*facts)();
    std::unique_ptr<Backend> (*make_backend)(int device, DType compute);  // throws ERR_DEVICE, ERR_OUT_OF_MEMORY
};

inline constexpr char CUDA_MODULE_ENTRY[] = "dllm_cuda_module";
using CudaModuleEntry = const CudaModule* (*)();

}  // namespace dllm
