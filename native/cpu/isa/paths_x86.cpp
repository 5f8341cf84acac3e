// The instruction-set paths of x86-64.
#include "../../thread_pool.h"
#include "../kernels.h"

namespace dllm {

extern const Kernels AVX512_KERNELS, AVX2_KERNELS, PORTABLE_KERNELS;

const std::vector<KernelPath>& kernel_paths() {
    static const std::vector<KernelPath> paths = {
        {&AVX512_KERNELS,
         [] {
             return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
         }},
        {&AVX2_KERNELS, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
        {&PORTABLE_KERNELS, [] { return true; }},
    };
    return paths;
}

void relax() { __builtin_ia32_pause(); }

}  // namespace dllm
