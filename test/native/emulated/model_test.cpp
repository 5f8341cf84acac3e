// The vectors of the independent implementation on the CUDA backend, whose kernels run on the emulated GPU.
#include "../../../native/cuda/backend.h"
#include "device_checks.h"
#include "fixture.h"
#include "vector_case.h"

namespace dllm {
namespace {

std::unique_ptr<Backend> make_backend(DType dtype) { return std::make_unique<cuda::CudaBackend>(0, dtype); }

TEST(emulated_model_vectors) {
    const emulated::FreshDevice fresh;
    check_model_vectors(make_backend);
}

TEST(emulated_model_vectors_in_bfloat16) {
    const emulated::FreshDevice fresh;
    check_model_vectors_in_bfloat16(make_backend);
}

TEST(emulated_optimizer_vectors) {
    const emulated::FreshDevice fresh;
    check_optimizer_vectors(make_backend);
}

TEST(emulated_decoding_traces) {
    const emulated::FreshDevice fresh;
    test::check_decoding_traces(make_backend(DType::f32));
}

}  // namespace
}  // namespace dllm
