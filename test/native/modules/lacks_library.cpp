// A CUDA module whose cuBLAS is not there: a symbol that nothing provides.
#include "cuda_module.h"

extern "C" int cublasLtCreate();

static dllm::CudaModule module{"this-build", nullptr, nullptr};

extern "C" [[gnu::visibility("default")]] const dllm::CudaModule* dllm_cuda_module() {
    if (cublasLtCreate() != 0) return nullptr;
    return &module;
}
