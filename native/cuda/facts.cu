// What there is to compute on: see facts.h.
#include "facts.h"

#include "check.h"
#include "failed_devices.h"

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace dllm::cuda {
namespace {

// cudaGetDeviceCount says of a missing driver that it is too old, and of hidden devices that there are none.
std::string explain_count(cudaError_t status, const CudaFacts& facts) {
    if (facts.driver_version == 0) return "there is no NVIDIA driver here (libcuda.so.1)";
    if (status == cudaErrorInsufficientDriver)
        return "the NVIDIA driver is too old: it supports CUDA " + cuda_version_text(facts.driver_version) +
               ", this build needs " + cuda_version_text(facts.runtime_version);
    if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES"))
        return "CUDA_VISIBLE_DEVICES is \"" + std::string(visible) + "\": " + describe(status);
    return describe(status);
}

CudaDevice find_device(int device, const std::string& architectures) {
    CudaDevice found;
    cudaDeviceProp properties{};
    const cudaError_t status = cudaGetDeviceProperties(&properties, device);
    if (status != cudaSuccess) {  // one device that is broken leaves the others usable
        (void)cudaGetLastError();
        found.name = "unknown GPU";
        found.problem = "cudaGetDeviceProperties failed: " + describe(status);
        return found;
    }
    found.name = properties.name;
    found.memory = int64_t(properties.totalGlobalMem);
    found.compute_capability = properties.major * 10 + properties.minor;
    if (!has_kernels(architectures, found.compute_capability))
        found.problem = "its compute capability is " + capability_text(found.compute_capability) +
                        ", and this build has kernels for " + architectures +
                        " and later; DLLM_CUDA_ARCHS chooses others (8.0 is the least)";
    return found;
}

}  // namespace

bool has_kernels(const std::string& architectures, int compute_capability) {
    std::istringstream list(architectures);
    int newest = 0;
    for (int architecture; list >> architecture;) {
        if (architecture / 10 == compute_capability / 10 && architecture <= compute_capability) return true;
        newest = std::max(newest, architecture);
    }
    return newest > 0 && compute_capability >= newest;
}

CudaFacts find_devices(const std::string& architectures) {
    CudaFacts facts;
    facts.architectures = architectures;
    facts.cublas_version = int64_t(cublasLtGetVersion());
    (void)cudaDriverGetVersion(&facts.driver_version);
    (void)cudaRuntimeGetVersion(&facts.runtime_version);
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    (void)cudaGetLastError();
    if (status != cudaSuccess) {
        facts.problem = explain_count(status, facts);
    } else if (count == 0) {
        facts.problem = explain_count(cudaErrorNoDevice, facts);
    }
    for (int device = 0; status == cudaSuccess && device < count; device++)
        facts.devices.push_back(find_device(device, architectures));
    return facts;
}

CudaFacts with_failures(CudaFacts facts) {
    for (size_t device = 0; device < facts.devices.size(); device++) {
        const std::string failure = failure_of(int(device));
        if (!failure.empty()) facts.devices[device].problem = failure;
    }
    return facts;
}

}  // namespace dllm::cuda
