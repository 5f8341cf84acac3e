// Products with epilogues on the emulated GPU: each way agrees with the twins, and measuring decides between them.
#include "matmul_layer.h"
#include "op_cases.h"

#include <string>

namespace dllm::cuda {
namespace {

using namespace emulated;

void check_products(DType compute, const char* epilogues) {
    const FreshDevice fresh;
    const EnvironmentSetting use("DLLM_CUDA_EPILOGUES", epilogues), tune("DLLM_CUDA_TUNE", "off");
    CudaBackend backend(0, compute);
    std::string all;
    for (const test::OpCase& op_case : test::op_cases())
        if (op_case.name.starts_with("matmul")) all += test::op_case_differences(backend, op_case);
    if (!all.empty()) throw test::Failure{backend.name() + all, std::source_location::current()};
    // Without packs there is no epilogue for an activation.
    check_equal(backend.plans().find("fusion yes") != std::string::npos, epilogues == std::string("on"), "epilogues");
}

TEST(emulated_products_in_parts_f32) { check_products(DType::f32, "off"); }
TEST(emulated_products_in_parts_bf16) { check_products(DType::bf16, "off"); }
TEST(emulated_products_by_epilogues_f32) { check_products(DType::f32, "on"); }
TEST(emulated_products_by_epilogues_bf16) { check_products(DType::bf16, "on"); }

TEST(epilogues_are_used_where_they_are_faster) {
    const FreshDevice fresh;
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "on");
    slow_kernels(1000);
    Layer layer;
    layer.all();
    check_equal(layer.fusions("fusion yes"), 3, "epilogues");
    check_equal(layer.launches(&Layer::forward), 1, "launches forward");
    check_equal(layer.launches(&Layer::backward), 1, "launches backward");
    slow_kernels(0);
    slow_epilogues(1000);
    layer.all();  // decided once
    check_equal(layer.fusions("fusion yes"), 3, "epilogues");
    Layer other;
    other.all();
    check_equal(other.fusions("fusion slower"), 3, "products in parts");
    check_equal(other.launches(&Layer::forward), 2, "launches forward");
    check_equal(other.launches(&Layer::backward), 2, "launches backward");
}

TEST(epilogues_are_chosen_as_they_were_saved) {
    const FreshDevice fresh;
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "on");
    for (const bool fused : {false, true}) {
        reset();
        (fused ? slow_kernels : slow_epilogues)(1000);
        Layer layer;
        layer.all();
        const std::string saved = layer.backend.plans();
        (fused ? slow_epilogues : slow_kernels)(2000);
        Layer resumed;
        check_equal(resumed.backend.restore_plans(saved), "", "reason");
        check_equal(resumed.launches(&Layer::forward), fused ? 1 : 2, "launches");
        resumed.all();
        check_equal(resumed.backend.plans(), saved, "choices");
    }
}

TEST(epilogues_that_were_saved_have_their_algorithm) {
    const FreshDevice fresh;
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "on");
    slow_kernels(1000);
    Layer layer;
    layer.forward();
    std::string text = layer.backend.plans();
    // Drops the line of the product with the epilogue, the only one that has a fusion.
    const std::string key =
        text.substr(text.find("fusion yes ") + 11, text.find("\nend") - text.find("fusion yes ") - 11);
    const size_t at = text.find("plan timed " + key);
    CHECK(at != std::string::npos);
    text.erase(at, text.find('\n', at) + 1 - at);
    Layer other;
    refuse_epilogues(Refusal::heuristic);
    CHECK(other.backend.restore_plans(text).starts_with("cublasLtMatmulAlgoGetHeuristic failed"));
    check_equal(other.fusions("plan"), 0, "plans");
    refuse_epilogues(Refusal::none);
    check_equal(other.backend.restore_plans(text), "", "reason");  // it is chosen anew
    other.forward();
    check_equal(other.launches(&Layer::forward), 1, "launches");
}

TEST(epilogues_are_switched_by_the_environment) {
    const FreshDevice fresh;
    slow_epilogues(1000);
    {
        const EnvironmentSetting use("DLLM_CUDA_EPILOGUES", "on");
        Layer layer;
        layer.all();
        check_equal(layer.fusions("fusion yes"), 3, "epilogues");
        Layer exact(DType::f32);  // GELU by our own kernel
        exact.all();
        check_equal(exact.fusions("fusion yes"), 1, "epilogues in float32");
    }
    slow_epilogues(0);
    slow_kernels(1000);
    for (const char* name :
         {"DLLM_CUDA_EPILOGUES", "DLLM_CUDA_TUNE"}) {  // without trials nothing is known to be faster
        const EnvironmentSetting use(name, "off");
        Layer layer;
        layer.all();
        check_equal(layer.fusions("fusion yes"), 0, "epilogues");
    }
    const EnvironmentSetting epilogues("DLLM_CUDA_EPILOGUES", "yes");
    check_throws([] { CudaBackend backend(0, DType::f32); }, ErrorCode::config,
                 "DLLM_CUDA_EPILOGUES must be one of off, on, measured, got \"yes\"");
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "always");
    check_throws([] { CudaBackend backend(0, DType::f32); }, ErrorCode::config,
                 "DLLM_CUDA_TUNE must be one of off, on, got \"always\"");
}

}  // namespace
}  // namespace dllm::cuda
