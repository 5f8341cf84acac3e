// The vectors of the independent implementation on the CUDA backend, whose kernels run on the emulated GPU.
#include "../../../native/cuda/backend.h"
#include "fixture.h"
#include "vector_case.h"

namespace dllm {
namespace {

using namespace test;

std::unique_ptr<Backend> make_backend(DType dtype) { return std::make_unique<cuda::CudaBackend>(0, dtype); }

TEST(emulated_model_vectors) {
    const emulated::FreshDevice fresh;
    for (const char* name : MODEL_VECTORS) check_model_vector(VectorCase(name), make_backend(DType::f32), 1e-5, 1e-4);
}

// Between an input and its logits lie about 25 roundings to bfloat16 (the weights' own, and ten in each of two layers),
// each of 1.7e-3 in the root mean square; independent ones add up to 5 * 1.7e-3. A gradient has seen twice as many, and
// is a sum in which much cancels.
TEST(emulated_model_vectors_in_bfloat16) {
    const emulated::FreshDevice fresh;
    for (const char* name : MODEL_VECTORS) check_model_vector(VectorCase(name), make_backend(DType::bf16), 2e-2, 4e-2);
}

TEST(emulated_optimizer_vectors) {
    const emulated::FreshDevice fresh;
    check_optimizer_vector(make_backend(DType::f32), 1e-4);
}

}  // namespace
}  // namespace dllm
