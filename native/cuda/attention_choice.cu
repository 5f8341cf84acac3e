// Which kernels compute attention in bfloat16: see attention_choice.h.
#include "attention_choice.h"

#include "../cuda_module.h"
#include "context.h"
#include "environment.h"
#include "sm90a/attention.h"

#include <string>

namespace dllm::cuda {

AttentionKernels attention_kernels_from_environment(int device) {
    if (environment_choice("DLLM_CUDA_ATTENTION", {"portable", "wgmma"}, 0) == 0) return AttentionKernels::portable;
    if (!sm90a::IS_BUILT)
        fail(ErrorCode::config,
             "DLLM_CUDA_ATTENTION=wgmma: this build has no kernels for sm_90a; DLLM_CUDA_ARCHS must name 90");
    int major = 0, minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "cudaDeviceGetAttribute");
    if (const int capability = major * 10 + minor; capability != 90)
        fail(ErrorCode::config, "DLLM_CUDA_ATTENTION=wgmma: the compute capability of cuda:" + std::to_string(device) +
                                    " is " + capability_text(capability) + "; these kernels are for 9.0");
    return AttentionKernels::wgmma;
}

}  // namespace dllm::cuda
