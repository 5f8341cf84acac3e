// The kernels for AVX-512 (F, BW, DQ, VL).
#include "avx512.h"
#include "../simd/table.h"

namespace dllm {

extern const Kernels AVX512_KERNELS;
constinit const Kernels AVX512_KERNELS = simd::make_kernels<Avx512>("avx512");

}  // namespace dllm
