// The instruction-set paths of 64-bit Arm, where NEON is always present.
#include "../../thread_pool.h"
#include "../kernels.h"

namespace dllm {

extern const Kernels NEON_KERNELS, PORTABLE_KERNELS;

const std::vector<KernelPath>& kernel_paths() {
    static const std::vector<KernelPath> paths = {
        {&NEON_KERNELS, [] { return true; }},
        {&PORTABLE_KERNELS, [] { return true; }},
    };
    return paths;
}

void relax() { asm volatile("yield"); }

}  // namespace dllm
