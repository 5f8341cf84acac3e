// Chooses the instruction-set path.
#include "kernels.h"

#include "../error.h"

#include <cstdlib>

namespace dllm {

std::vector<std::string> usable_paths() {
    std::vector<std::string> names;
    for (const KernelPath& path : kernel_paths()) {
        if (path.usable()) names.push_back(path.kernels->name);
    }
    return names;
}

const Kernels& kernels_of(const std::string& name) {
    for (const KernelPath& path : kernel_paths()) {
        if (path.kernels->name == name && path.usable()) return *path.kernels;
    }
    std::string accepted;
    for (const std::string& usable : usable_paths()) accepted += (accepted.empty() ? "" : ", ") + usable;
    fail(ErrorCode::config,
         "DLLM_CPU: the instruction-set path must be one of " + accepted + " on this CPU, got \"" + name + "\"");
}

const Kernels& kernels() {
    static const Kernels& chosen = [&]() -> const Kernels& {
        const char* forced = std::getenv("DLLM_CPU");
        return kernels_of(forced != nullptr && *forced != '\0' ? forced : usable_paths().front());
    }();
    return chosen;
}

}  // namespace dllm
