// Words of which one is expected.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dllm::cuda {

inline std::optional<size_t> index_of(std::string_view word, std::span<const std::string_view> accepted) {
    const auto found = std::find(accepted.begin(), accepted.end(), word);
    if (found == accepted.end()) return {};
    return size_t(found - accepted.begin());
}

// "one of off, on"
inline std::string one_of(std::span<const std::string_view> accepted) {
    std::string names;
    for (const std::string_view name : accepted) names.append(names.empty() ? "one of " : ", ").append(name);
    return names;
}

}  // namespace dllm::cuda
