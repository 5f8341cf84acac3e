// The module's entry: its build, the devices it can use, and backends on them.
#include "../cuda_module.h"
#include "backend.h"

#include "build_id.h"

#include <algorithm>
#include <sstream>

namespace dllm::cuda {
namespace {

// Code for one architecture runs on later ones of its generation, and the PTX of the newest on all later ones.
bool has_kernels(int compute_capability) {
    std::istringstream architectures(CUDA_ARCHITECTURES);
    int newest = 0;
    for (int architecture; architectures >> architecture;) {
        if (architecture / 10 == compute_capability / 10 && architecture <= compute_capability) return true;
        newest = std::max(newest, architecture);
    }
    return compute_capability >= newest;
}

CudaFacts facts() {
    CudaFacts facts{};
    check(cudaDriverGetVersion(&facts.driver_version), "cudaDriverGetVersion");
    check(cudaRuntimeGetVersion(&facts.runtime_version), "cudaRuntimeGetVersion");
    facts.cublas_version = int64_t(cublasLtGetVersion());
    facts.architectures = CUDA_ARCHITECTURES;
    int count = 0;
    check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
    for (int device = 0; device < count; device++) {
        cudaDeviceProp properties{};
        check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
        const int capability = properties.major * 10 + properties.minor;
        facts.devices.push_back(
            {properties.name, int64_t(properties.totalGlobalMem), capability, has_kernels(capability)});
    }
    return facts;
}

std::unique_ptr<Backend> make_backend(int device, DType compute) {
    return std::make_unique<CudaBackend>(device, compute);
}

constexpr CudaModule MODULE{BUILD_ID, facts, make_backend};

}  // namespace
}  // namespace dllm::cuda

extern "C" [[gnu::visibility("default")]] const dllm::CudaModule* dllm_cuda_module() { return &dllm::cuda::MODULE; }
