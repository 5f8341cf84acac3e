// Products with epilogues on the emulated GPU: each way agrees with the twins, and measuring decides between them.
#include "../../../native/cuda/backend.h"
#include "matmul_fixture.h"
#include "op_cases.h"

#include <array>
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

// The three ops with an epilogue, on tensors of one backend.
class Layer {
public:
    explicit Layer(DType compute = DType::bf16) : backend(0, compute) {
        for (Tensor* tensor : {&x_, &weight_, &pre_, &out_, &dpre_, &dhidden_}) *tensor = make(compute);
        dweight_ = make(DType::f32), dbias_ = make(DType::f32).slice_rows(0, 1);
        for (const Tensor& tensor : {x_, weight_, pre_}) {
            std::vector<uint16_t> bits(size_t(tensor.count()) * size_t(dtype_bytes(tensor.dtype)) / 2, 0x3f80);  // ones
            if (tensor.dtype == DType::f32)
                for (size_t i = 0; i < bits.size(); i += 2) bits[i] = 0;
            backend.upload(tensor, bits.data());
        }
    }
    ~Layer() {
        for (const Tensor& tensor : {x_, weight_, pre_, out_, dpre_, dhidden_, dweight_, dbias_})
            backend.release(tensor.data);
    }
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;

    CudaBackend backend;

    void forward() {
        backend.matmul_activation_forward(out_, pre_, x_, weight_, {}, Activation::gelu, WeightLayout::in_out);
    }
    void backward() {
        backend.matmul_activation_backward(dpre_, dhidden_, x_, weight_, pre_, Activation::gelu, WeightLayout::in_out);
    }
    // Gradients, which start at zero.
    std::array<float, 2> weight_and_bias() {
        backend.zero(dweight_);
        backend.zero(dbias_);
        backend.matmul_backward_weight(dweight_, dbias_, x_, x_, WeightLayout::in_out);
        std::vector<float> weight(SIZE * SIZE), bias(SIZE);
        backend.download(weight.data(), dweight_);
        backend.download(bias.data(), dbias_);
        return {weight[0], bias[0]};
    }
    void all() {
        forward();
        backward();
        check_equal(weight_and_bias(), std::array{float(SIZE), float(SIZE)}, "gradients");
    }
    int fusions(const char* line) { return count_lines(backend.plans(), line); }
    int64_t launches(void (Layer::*op)()) {
        const int64_t before = launch_count();
        (this->*op)();
        return launch_count() - before;
    }

private:
    static constexpr size_t SIZE = 64;

    Tensor make(DType dtype) {
        const int64_t size = SIZE;
        return {backend.allocate(SIZE * SIZE * size_t(dtype_bytes(dtype))), size, size, size, dtype};
    }

    Tensor x_, weight_, pre_, out_, dpre_, dhidden_, dweight_, dbias_;
};

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

TEST(epilogues_that_cannot_be_used_are_not) {
    const FreshDevice fresh;
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "on");
    slow_kernels(1000);  // or else they would be faster
    for (const auto& [where, reason] :
         {std::pair(Refusal::heuristic, "cublasLtMatmulAlgoGetHeuristic failed: CUBLAS_STATUS_INVALID_VALUE"),
          std::pair(Refusal::launch, "CUBLAS_STATUS_EXECUTION_FAILED")}) {
        refuse_epilogues(where);
        Layer layer;
        layer.all();
        check_equal(layer.fusions("fusion failed"), 3, "epilogues that failed");
        const std::string saved = layer.backend.plans();
        CHECK(saved.find(reason) != std::string::npos);
        check_equal(layer.launches(&Layer::forward), 2, "launches forward");
        check_error(cudaGetLastError(), cudaSuccess);
        refuse_epilogues(Refusal::none);
        Layer resumed;
        check_equal(resumed.backend.restore_plans(saved), "", "reason");
        resumed.all();
        check_equal(resumed.backend.plans(), saved, "choices");
    }
}

// One algorithm is not timed as a candidate, so that it first runs as an epilogue.
TEST(epilogues_with_a_single_algorithm_that_fails_are_not_used) {
    const FreshDevice fresh;
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "on");
    Context context(0);
    MatmulPlans plans(context, {});
    Products products(16, 16, 16);
    MatmulProduct product = products.product();
    product.out.data = product.out.f32() + 1;
    MatmulProduct fused = product;
    fused.epilogue = Epilogue::sums_of_b, fused.sums = products.bias();
    refuse_epilogues(Refusal::launch);
    const auto rehearse = [&](bool fuse) { plans.run(fuse ? fused : product); };
    CHECK(!plans.fuses(fused, rehearse));
    check_equal(count_lines(plans.save(), "fusion failed"), 1, "epilogues that failed");
    rehearse(false);
}

TEST(epilogues_that_lose_the_device_say_so) {
    const FreshDevice fresh;
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "on");
    for (const int64_t launch : {1, 20, 50}) {
        FreshDevice::renew();
        Layer lost;
        fail_launch(launch);
        check_throws([&] { lost.all(); }, ErrorCode::device, "cudaErrorIllegalAddress");
    }
}

// What was not tried for lack of memory or time is tried in another process.
TEST(epilogues_that_were_not_tried_are_tried_after_a_restart) {
    const FreshDevice fresh;
    slow_kernels(1000);
    std::string saved;
    {
        const EnvironmentSetting tune("DLLM_CUDA_TUNE", "off");
        Layer layer;
        layer.forward();
        check_equal(layer.fusions("fusion no_time"), 1, "epilogues without time");
        saved = layer.backend.plans();
    }
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "on");
    Layer resumed;
    check_equal(resumed.backend.restore_plans(saved), "", "reason");
    resumed.forward();
    check_equal(resumed.fusions("fusion yes"), 1, "epilogues");
    check_equal(resumed.fusions("fusion no_time"), 0, "epilogues without time");
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

TEST(epilogues_without_memory_for_trials_are_not_used) {
    const FreshDevice fresh;
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "on");
    slow_kernels(1000);
    Layer layer;
    layer.forward();                         // chooses by measuring
    set_device_memory(live_bytes() + 4096);  // enough for the op itself
    check_equal(layer.weight_and_bias(), std::array{64.0f, 64.0f}, "gradients");
    check_equal(layer.fusions("fusion no_memory"), 1, "products in parts");
}

}  // namespace
}  // namespace dllm::cuda
