// Switches that the environment sets: see environment.h.
#include "environment.h"

#include "../error.h"

#include <algorithm>
#include <cstdlib>

namespace dllm::cuda {

size_t environment_choice(const char* variable, const std::vector<std::string_view>& accepted, size_t by_default) {
    const char* value = std::getenv(variable);
    if (value == nullptr || *value == '\0') return by_default;
    const auto found = std::find(accepted.begin(), accepted.end(), value);
    if (found != accepted.end()) return size_t(found - accepted.begin());
    std::string names;
    for (const std::string_view name : accepted) names.append(names.empty() ? "" : ", ").append(name);
    fail(ErrorCode::config, std::string(variable) + " must be one of " + names + ", got \"" + value + "\"");
}

}  // namespace dllm::cuda
