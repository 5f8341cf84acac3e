// The vectors of the independent implementation on the CPU backend.
#include "test.h"
#include "vector_case.h"

using namespace dllm;

TEST(model_vectors_on_the_cpu_backend) {
    for (const char* name : test::MODEL_VECTORS)
        test::check_model_vector(test::VectorCase(name), make_cpu_backend(), 1e-5, 1e-4);
}

TEST(optimizer_vectors_on_the_cpu_backend) { test::check_optimizer_vector(make_cpu_backend(), 1e-4); }

TEST(decoding_traces_on_the_cpu_backend) { test::check_decoding_traces(make_cpu_backend()); }
