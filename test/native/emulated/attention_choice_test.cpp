// Attention with the matrix products of warpgroups: the op cases and the vectors, and where it is refused.
#include "../../../native/cuda/backend.h"
#include "device_checks.h"
#include "hopper.h"
#include "op_cases.h"
#include "test.h"

namespace dllm {
namespace {

using namespace test;

bool is_attention(const OpCase& op_case) { return op_case.name.starts_with("attention"); }

// In tight buffers: rows that are strided are not of whole 16-byte groups, and the portable kernels take them.
void run_in_order(emulated::Order order) {
    const emulated::Hopper hopper;
    emulated::set_order(order, 1);
    cuda::CudaBackend backend(0, DType::bf16);
    run_op_cases(backend, is_attention);
}

TEST(emulated_attention_of_warpgroups) { run_in_order(emulated::Order::ascending); }
TEST(emulated_attention_of_warpgroups_descending) { run_in_order(emulated::Order::descending); }
TEST(emulated_attention_of_warpgroups_shuffled) { run_in_order(emulated::Order::shuffled); }

TEST(emulated_model_vectors_with_attention_of_warpgroups) {
    const emulated::Hopper hopper;
    check_model_vectors_in_bfloat16([](DType dtype) { return std::make_unique<cuda::CudaBackend>(0, dtype); });
}

TEST(emulated_attention_of_warpgroups_is_what_runs) {
    const emulated::Hopper hopper;
    cuda::CudaBackend bfloat16(0, DType::bf16), float32(0, DType::f32);
    emulated::set_compute_capability(80);  // its kernels now fault
    const auto is_one = [](const OpCase& op_case) {
        return is_attention(op_case) && op_case.name.find("full 2 x 200") != std::string::npos;
    };
    run_op_cases(float32, is_one);
    check_throws([&] { run_op_cases(bfloat16, is_one); }, "on a device that is not of compute capability 9.0");
}

TEST(attention_kernels_are_chosen_by_the_environment) {
    const emulated::Hopper hopper;
    const auto open = [] { cuda::CudaBackend(0, DType::bf16); };
    open();
    emulated::set_compute_capability(80);
    check_throws(open, ErrorCode::config,
                 "DLLM_CUDA_ATTENTION=wgmma: the compute capability of cuda:0 is 8.0; these kernels are for 9.0");
    const EnvironmentSetting unknown("DLLM_CUDA_ATTENTION", "fast");
    check_throws(open, ErrorCode::config, "DLLM_CUDA_ATTENTION must be one of portable, wgmma, got \"fast\"");
    const EnvironmentSetting portable("DLLM_CUDA_ATTENTION", "portable");
    open();
}

}  // namespace
}  // namespace dllm
