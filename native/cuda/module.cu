// The module's entry: its build, the devices it can use, and backends on them.
#include "../cuda_module.h"
#include "backend.h"
#include "facts.h"

#include "build_id.h"

namespace dllm::cuda {
namespace {

// Looked for once, since CUDA may not even count devices after one has failed; never destroyed, since jobs may still
// run while the process ends. Braces, since nvcc 13.0 aborts on parentheses here.
CudaFacts facts() {
    static const CudaFacts& found = *new CudaFacts{find_devices(CUDA_ARCHITECTURES)};
    return with_failures(found);
}

std::unique_ptr<Backend> make_backend(int device, DType compute) {
    return std::make_unique<CudaBackend>(device, compute);
}

constexpr CudaModule MODULE{BUILD_ID, facts, make_backend};

}  // namespace
}  // namespace dllm::cuda

extern "C" [[gnu::visibility("default")]] const dllm::CudaModule* dllm_cuda_module() { return &dllm::cuda::MODULE; }
