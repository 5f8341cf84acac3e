// A CUDA module of another build.
#include "cuda_module.h"

static constexpr dllm::CudaModule MODULE{"another-build", nullptr, nullptr};

extern "C" [[gnu::visibility("default")]] const dllm::CudaModule* dllm_cuda_module() { return &MODULE; }
