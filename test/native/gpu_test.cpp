// A GPU, through the CUDA module that DLLM_CUDA_MODULE names and as the addon reaches it. Skipped, with the reason,
// where it names none or the machine has no GPU that it can use. `npm test` names the installed module, gpu-check its
// own.
#include "build_id.h"
#include "cuda_devices.h"
#include "device_checks.h"
#include "environment_setting.h"
#include "op_cases.h"
#include "test.h"
#include "vector_case.h"

#include <cstdlib>

namespace dllm {
namespace {

using namespace test;

// As the environment of the program says, before any test has changed it.
const char* const MODULE = std::getenv("DLLM_CUDA_MODULE");
const std::string MODULE_PATH = MODULE == nullptr ? "" : MODULE;

CudaDevices& gpus() {
    static CudaDevices devices(MODULE_PATH, {BUILD_ID, MODULE != nullptr, "DLLM_CUDA_MODULE is not set"});
    return devices;
}

// Asked once: a GPU that fails in one test must fail the others, not skip them.
const std::string& problem() {
    static const std::string found = [] {
        const CudaFacts facts = gpus().facts();
        return facts.problem.empty() ? facts.devices.at(0).problem : facts.problem;
    }();
    return found;
}

std::unique_ptr<Backend> make_gpu(DType dtype) {
    if (!problem().empty()) skip(problem());
    return gpus().make_backend(0, dtype);
}

// For what must be bit-equal between backends: each of them would time its products and choose by that.
struct Untimed {
    EnvironmentSetting setting{"DLLM_CUDA_TUNE", "off"};
};

void check_ops(DType dtype, const std::function<bool(const OpCase&)>& chosen = {}) {
    run_op_cases(*make_gpu(dtype), chosen);
}

TEST(gpu_ops_in_float32) { check_ops(DType::f32); }
TEST(gpu_ops_in_bfloat16) { check_ops(DType::bf16); }
TEST(gpu_few_ops_in_float32) { check_ops(DType::f32, is_one_of_few); }
TEST(gpu_few_ops_in_bfloat16) { check_ops(DType::bf16, is_one_of_few); }

// Whichever way is faster, both are right.
void check_products_by_epilogues(DType dtype) {
    const EnvironmentSetting epilogues("DLLM_CUDA_EPILOGUES", "on");
    const std::unique_ptr<Backend> backend = make_gpu(dtype);
    run_op_cases(*backend, [](const OpCase& op_case) { return op_case.name.starts_with("matmul"); });
    CHECK(backend->plans().find("\nfusion yes") != std::string::npos);
}

TEST(gpu_products_by_epilogues_in_float32) { check_products_by_epilogues(DType::f32); }
TEST(gpu_products_by_epilogues_in_bfloat16) { check_products_by_epilogues(DType::bf16); }

// Enough sequences that they fill a GPU of 160 multiprocessors.
constexpr int64_t REPEATS = 8;

TEST(gpu_attention_sequences_do_not_depend_on_the_batch) {
    check_independent_sequences(*make_gpu(DType::f32), "float32", {33}, REPEATS);
    check_independent_sequences(*make_gpu(DType::bf16), "bfloat16", {33, 64, 128}, REPEATS);
}

TEST(gpu_model_vectors) { check_model_vectors(make_gpu); }
TEST(gpu_model_vectors_in_bfloat16) { check_model_vectors_in_bfloat16(make_gpu); }
TEST(gpu_optimizer_vectors) { check_optimizer_vectors(make_gpu); }
TEST(gpu_decoding_traces) {
    const Untimed untimed;
    check_decoding_traces(make_gpu(DType::f32));
}

TEST(gpu_training_of_gpt2_equals_the_cpus) { check_same_training(make_gpu, Naming::gpt2, ObjectiveKind::masked); }
TEST(gpu_training_of_llama_equals_the_cpus) { check_same_training(make_gpu, Naming::llama, ObjectiveKind::masked); }
TEST(gpu_training_of_nanollada_equals_the_cpus) {
    check_same_training(make_gpu, Naming::nanollada, ObjectiveKind::masked);
}
TEST(gpu_training_on_next_tokens_equals_the_cpus) {
    check_same_training(make_gpu, Naming::llama, ObjectiveKind::next_token);
}
TEST(gpu_training_in_bfloat16_follows_float32) { check_training_in_bfloat16(make_gpu); }
TEST(gpu_samples_equal_the_cpus) {
    const Untimed untimed;
    check_samples(make_gpu);
}

TEST(gpu_training_resumes_bit_equal) {
    const Untimed untimed;
    check_bit_equal_resume(make_gpu);
}

TEST(gpu_replayed_steps_have_the_bits_of_steps_run_op_by_op) {
    const Untimed untimed;
    check_replays(make_gpu, DType::f32, Naming::gpt2);
    check_replays(make_gpu, DType::bf16, Naming::llama);
}

TEST(gpu_training_goes_on_after_a_request_beyond_all_memory) {
    const Untimed untimed;
    check_request_beyond_all_memory(make_gpu);
}

TEST(gpu_training_goes_on_after_the_device_was_full) {
    const Untimed untimed;
    check_full_device(make_gpu);
}

TEST(gpu_training_of_two_models_at_the_same_time) {
    const Untimed untimed;
    check_two_models(make_gpu);
}

std::unique_ptr<Backend> make_gpu_with_warpgroups(DType dtype) {
    const EnvironmentSetting attention("DLLM_CUDA_ATTENTION", "wgmma");
    const CudaFacts facts = gpus().facts();
    if (problem().empty() && facts.devices.at(0).compute_capability != 90) skip("its compute capability is not 9.0");
    if (problem().empty() && facts.architectures.find("90") == std::string::npos) skip("the module has no code for 90");
    return make_gpu(dtype);
}

TEST(gpu_attention_of_warpgroups) {
    run_op_cases(*make_gpu_with_warpgroups(DType::bf16),
                 [](const OpCase& op_case) { return op_case.name.starts_with("attention"); });
}
TEST(gpu_attention_of_warpgroups_does_not_depend_on_the_batch) {
    check_independent_sequences(*make_gpu_with_warpgroups(DType::bf16), "wgmma", {64, 128}, REPEATS);
}
TEST(gpu_model_vectors_with_attention_of_warpgroups) { check_model_vectors_in_bfloat16(make_gpu_with_warpgroups); }

}  // namespace
}  // namespace dllm
