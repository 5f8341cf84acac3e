// The vectors of the independent implementation on a CUDA backend: see device_checks.h.
#include "device_checks.h"
#include "vector_case.h"

namespace dllm {

using namespace test;

void check_model_vectors(const MakeBackend& make) {
    for (const char* name : MODEL_VECTORS) check_model_vector(VectorCase(name), make(DType::f32), 1e-5, 1e-4);
}

// Between an input and its logits lie about 25 roundings to bfloat16 (the weights' own, and ten in each of two layers),
// each of 1.7e-3 in the root mean square; independent ones add up to 5 * 1.7e-3. A gradient has seen twice as many, and
// is a sum in which much cancels.
void check_model_vectors_in_bfloat16(const MakeBackend& make) {
    for (const char* name : MODEL_VECTORS) check_model_vector(VectorCase(name), make(DType::bf16), 2e-2, 4e-2);
}

void check_optimizer_vectors(const MakeBackend& make) { check_optimizer_vector(make(DType::f32), 1e-4); }

}  // namespace dllm
