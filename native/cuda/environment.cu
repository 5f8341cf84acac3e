// Switches that the environment sets: see environment.h.
#include "environment.h"

#include "../error.h"
#include "words.h"

#include <cstdlib>

namespace dllm::cuda {

size_t environment_choice(const char* variable, const std::vector<std::string_view>& accepted, size_t by_default) {
    const char* value = std::getenv(variable);
    if (value == nullptr || *value == '\0') return by_default;
    if (const std::optional<size_t> index = index_of(value, accepted)) return *index;
    fail(ErrorCode::config, std::string(variable) + " must be " + one_of(accepted) + ", got \"" + value + "\"");
}

}  // namespace dllm::cuda
