// Saving and restoring the choices of MatmulPlans, and the options that it is made with.
#include "matmul_choices.h"
#include "matmul_plans.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace dllm::cuda {
namespace {

// The index of the variable's value among the accepted ones; if it is not set or empty, the default's.
size_t option(const char* variable, const std::vector<std::string_view>& accepted, size_t by_default) {
    const char* value = std::getenv(variable);
    if (value == nullptr || *value == '\0') return by_default;
    const auto found = std::find(accepted.begin(), accepted.end(), value);
    if (found != accepted.end()) return size_t(found - accepted.begin());
    std::string names;
    for (const std::string_view name : accepted) names.append(names.empty() ? "" : ", ").append(name);
    fail(ErrorCode::config, std::string(variable) + " must be one of " + names + ", got \"" + value + "\"");
}

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
    return {option("DLLM_CUDA_TUNE", {"off", "on"}, 1) == 1,
            uses[option("DLLM_CUDA_EPILOGUES", {"off", "on", "measured"}, 2)]};
}

std::string MatmulPlans::save() const {
    MatmulChoices choices{device_description(context_.device()), int64_t(cublasLtGetVersion()), {}, {}};
    for (const auto& [key, plan] : plans_) choices.plans.push_back({key, plan->algorithm().id, plan->chosen()});
    for (const auto& [key, choice] : fusions_) choices.fusions.push_back({key, choice});
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
        decltype(plans_) plans;
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
        for (const auto& [key, choice] : choices.fusions)
            if (choice.fused == Fused::yes && !plans.contains(key))
                return "the algorithm of " + describe(key) + " is missing";
        for (auto& [key, plan] : plans) plans_[key] = std::move(plan);
        if (options_.epilogues == UseEpilogues::measured)
            for (const auto& [key, choice] : choices.fusions)
                if (choice.fused != Fused::no_memory && choice.fused != Fused::no_time) fusions_[key] = choice;
        return {};
    } catch (const Error& error) {
        return error.what();
    }
}

}  // namespace dllm::cuda
