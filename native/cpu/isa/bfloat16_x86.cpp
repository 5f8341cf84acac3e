// The instructions for bfloat16 of x86-64: Intel's matrix tiles, and AVX-512's dot products.
#include "../kernels.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace dllm {

extern const ProductKernels AMX_PRODUCTS, AVX512_BF16_PRODUCTS;

namespace {

struct Leaf {
    unsigned eax, ebx, ecx, edx;
};

// What the CPU says of its features; zeros where it knows no such leaf.
Leaf features(unsigned subleaf) {
    Leaf leaf{};
    if (__get_cpuid_count(7, subleaf, &leaf.eax, &leaf.ebx, &leaf.ecx, &leaf.edx) == 0) return {};
    return leaf;
}

bool has_avx512_bf16() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && (features(1).eax >> 5 & 1) != 0;
}

// Linux lets a process use the tiles, 8 KB more to save at each switch of threads, only after it has asked.
bool has_amx() {
    constexpr int ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;
    const unsigned found = features(0).edx;
    const bool tiles = (found >> 24 & 1) != 0, bfloat16 = (found >> 22 & 1) != 0;
    return tiles && bfloat16 && has_avx512_bf16() &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

// Intel's cores do these dot products at half the rate of float32 (measured on Sapphire Rapids: 0.6 of `rounded`).
bool avx512_bf16_pays() { return has_avx512_bf16() && __builtin_cpu_is("amd") != 0; }

}  // namespace

const std::vector<Bfloat16Path>& bfloat16_paths() {
    static const std::vector<Bfloat16Path> paths = {
        {&AMX_PRODUCTS, "avx512", has_amx, has_amx},
        {&AVX512_BF16_PRODUCTS, "avx512", has_avx512_bf16, avx512_bf16_pays},
    };
    return paths;
}

}  // namespace dllm
