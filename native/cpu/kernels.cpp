// Chooses the instruction-set path, and the instructions for products in bfloat16.
#include "kernels.h"

#include "../error.h"

#include <cstdlib>

namespace dllm {

namespace {

constexpr const char* ROUNDED = "rounded";

// Null where the variable is not set or empty.
const char* environment(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0' ? value : nullptr;
}

[[noreturn]] void refuse(const std::string& what, const std::vector<std::string>& usable, const std::string& found) {
    std::string accepted;
    for (const std::string& name : usable) accepted += (accepted.empty() ? "" : ", ") + name;
    fail(ErrorCode::config, what + " must be one of " + accepted + " on this CPU, got \"" + found + "\"");
}

}  // namespace

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
    refuse("DLLM_CPU: the instruction-set path", usable_paths(), name);
}

const Kernels& kernels() {
    static const Kernels& chosen = [&]() -> const Kernels& {
        const char* forced = environment("DLLM_CPU");
        return kernels_of(forced != nullptr ? forced : usable_paths().front());
    }();
    return chosen;
}

std::vector<std::string> usable_bfloat16_products() {
    std::vector<std::string> names;
    for (const Bfloat16Path& path : bfloat16_paths()) {
        if (path.usable()) names.push_back(path.products->name);
    }
    names.push_back(ROUNDED);
    return names;
}

const ProductKernels& bfloat16_products_of(const Kernels& kernels, const std::string& name) {
    if (name == ROUNDED) return kernels.rounded;
    for (const Bfloat16Path& path : bfloat16_paths()) {
        if (path.products->name == name && path.usable()) return *path.products;
    }
    refuse("DLLM_CPU_BFLOAT16: the kind of matrix products", usable_bfloat16_products(), name);
}

const ProductKernels& bfloat16_products() {
    static const ProductKernels& chosen = [&]() -> const ProductKernels& {
        if (const char* forced = environment("DLLM_CPU_BFLOAT16")) return bfloat16_products_of(kernels(), forced);
        for (const Bfloat16Path& path : bfloat16_paths()) {
            if (path.path == std::string(kernels().name) && path.pays()) return *path.products;
        }
        return kernels().rounded;
    }();
    return chosen;
}

}  // namespace dllm
