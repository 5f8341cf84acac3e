// Saving and restoring the choices of MatmulPlans, and the options that it is made with.
#include "environment.h"
#include "matmul_choices.h"
#include "matmul_plans.h"

#include <algorithm>

namespace dllm::cuda {
namespace {

// Equal for devices on which the same algorithm gives the same bits.
std::string device_description(int device) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    return std::string(properties.name) + " " + std::to_string(properties.major) + "." +
           std::to_string(properties.minor) + ", " + std::to_string(properties.multiProcessorCount) +
           " multiprocessors";
}

}  // namespace

MatmulOptions MatmulOptions::from_environment() {
    constexpr UseEpilogues uses[] = {UseEpilogues::off, UseEpilogues::on, UseEpilogues::measured};
    return {environment_choice("DLLM_CUDA_TUNE", {"off", "on"}, 1) == 1,
            uses[environment_choice("DLLM_CUDA_EPILOGUES", {"off", "on", "measured"}, 2)]};
}

std::string MatmulPlans::save() const {
    MatmulChoices choices{device_description(context_.device()), int64_t(cublasLtGetVersion()), {}, {}};
    for (const auto& [key, plan] : plans_)
        if (plan->chosen() != Chosen::derived) choices.plans.push_back({key, plan->algorithm().id, plan->chosen()});
    for (const auto& [key, choice] : fusions_)
        if (!choice.derived) choices.fusions.push_back({key, choice});
    return write_choices(choices);
}

std::string MatmulPlans::restore(const std::string& text) {
    if (text.empty()) return "there are none: it was saved on another device";
    try {
        const MatmulChoices choices = read_choices(text);
        const std::string device = device_description(context_.device());
        if (choices.device != device) return "they are of " + choices.device + ", and this is " + device;
        const auto version = int64_t(cublasLtGetVersion());
        if (choices.cublas_version != version)
            return "they are of cuBLASLt " + std::to_string(choices.cublas_version) + ", and this is " +
                   std::to_string(version);
        Plans plans;
        Fusions fusions;
        for (const auto& [key, id, chosen] : choices.plans) {
            auto plan = std::make_unique<MatmulPlan>(key);
            // Only what the library offers by itself is ever run.
            const std::vector<Algorithm> offered = plan->candidates(context_);
            const auto found = std::find_if(offered.begin(), offered.end(),
                                            [&, &wanted = id](const Algorithm& one) { return one.id == wanted; });
            if (found == offered.end()) return "cuBLASLt does not offer the algorithm of " + describe(key);
            plan->choose(*found, chosen);
            plans[key] = std::move(plan);
        }
        for (const auto& [key, choice] : choices.fusions) {
            if (choice.fused == Fused::no_memory || choice.fused == Fused::no_time) continue;
            if (choice.fused == Fused::yes && !plans.contains(key) && MatmulPlan(key).candidates(context_).empty())
                return "cuBLASLt does not offer the epilogue of " + describe(key);
            if (options_.epilogues == UseEpilogues::measured) fusions[key] = choice;
        }
        plans_ = std::move(plans), fusions_ = std::move(fusions);
        generation_++;
        return {};
    } catch (const Error& error) {
        return error.what();
    }
}

}  // namespace dllm::cuda
