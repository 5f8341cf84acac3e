// Switches that the environment sets.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace dllm::cuda {

// The index of the variable's value among the accepted ones; where it is not set or empty, the default's. Throws
// ERR_CONFIG.
size_t environment_choice(const char* variable, const std::vector<std::string_view>& accepted, size_t by_default);

}  // namespace dllm::cuda
