// Training, sampling and resuming on the CUDA backend, whose kernels run on the emulated GPU, against the CPU backend.
#include "../../../native/cuda/backend.h"
#include "device_checks.h"
#include "fixture.h"

namespace dllm {
namespace {

std::unique_ptr<Backend> make_backend(DType dtype) { return std::make_unique<cuda::CudaBackend>(0, dtype); }

void check_same_as_the_cpu(Naming naming, ObjectiveKind objective) {
    const emulated::FreshDevice fresh;
    check_same_training(make_backend, naming, objective);
}

TEST(emulated_training_of_gpt2_equals_the_cpus) { check_same_as_the_cpu(Naming::gpt2, ObjectiveKind::masked); }
TEST(emulated_training_of_llama_equals_the_cpus) { check_same_as_the_cpu(Naming::llama, ObjectiveKind::masked); }
TEST(emulated_training_of_nanollada_equals_the_cpus) {
    check_same_as_the_cpu(Naming::nanollada, ObjectiveKind::masked);
}
TEST(emulated_training_on_next_tokens_equals_the_cpus) {
    check_same_as_the_cpu(Naming::llama, ObjectiveKind::next_token);
}

TEST(emulated_training_in_bfloat16_follows_float32) {
    const emulated::FreshDevice fresh;
    check_training_in_bfloat16(make_backend);
}

TEST(emulated_training_resumes_bit_equal) {
    const emulated::FreshDevice fresh;
    check_bit_equal_resume(make_backend);
}

TEST(emulated_training_goes_on_after_a_request_beyond_all_memory) {
    const emulated::FreshDevice fresh;
    check_request_beyond_all_memory(make_backend);
}

TEST(emulated_training_goes_on_after_the_device_was_full) {
    const emulated::FreshDevice fresh;
    emulated::set_device_memory(emulated::live_bytes() + (size_t(64) << 20));
    check_full_device(make_backend);
}

TEST(emulated_training_of_two_models_at_the_same_time) {
    const emulated::FreshDevice fresh;
    check_two_models(make_backend);
}

TEST(emulated_samples_equal_the_cpus) {
    const emulated::FreshDevice fresh;
    check_samples(make_backend);
}

}  // namespace
}  // namespace dllm
