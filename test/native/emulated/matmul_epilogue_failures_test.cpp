// Epilogues on the emulated GPU that cannot be used, or could not be tried: the ops go on without them.
#include "matmul_layer.h"

#include <chrono>
#include <string>
#include <thread>
#include <utility>

namespace dllm::cuda {
namespace {

using namespace emulated;

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

// That an epilogue is faster is derived from other rows, that it runs is not.
TEST(epilogues_that_fail_with_other_rows_are_not_used) {
    const FreshDevice fresh;
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "on");
    slow_kernels(1000);
    Layer layer;
    layer.all();
    const std::string saved = layer.backend.plans();
    check_equal(layer.weight_and_bias(48), std::array{48.0f, 48.0f}, "gradients by the epilogue");
    check_equal(layer.backend.plans(), saved, "choices");
    refuse_epilogues(Refusal::launch);
    for (int time = 0; time < 2; time++)
        check_equal(layer.weight_and_bias(32), std::array{32.0f, 32.0f}, "gradients in parts");
    check_equal(layer.fusions("fusion failed"), 1, "epilogues that failed");
    check_equal(layer.fusions("fusion yes"), 3, "epilogues");
    check_error(cudaGetLastError(), cudaSuccess);
}

// The products in parts alone take all the time that there is for trying both.
TEST(epilogues_that_were_not_reached_in_time_are_not_called_slower) {
    const FreshDevice fresh;
    Context context(0);
    MatmulPlans plans(context, {});
    Products products(16, 16, 16);
    const MatmulProduct product = products.product();
    MatmulProduct fused = product;
    fused.epilogue = Epilogue::sums_of_b, fused.sums = products.bias();
    int in_parts = 0;
    const auto rehearse = [&](bool fuse) {
        CHECK(!fuse);
        if (++in_parts == 2) std::this_thread::sleep_for(std::chrono::milliseconds(501));  // once the time is running
        plans.run(product);
    };
    CHECK(!plans.fuses(fused, rehearse));
    check_equal(count_lines(plans.save(), "fusion no_time"), 1, "epilogues without time");
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
