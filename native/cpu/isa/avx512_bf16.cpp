// Products in bfloat16 by the dot products of AVX-512: the tile of simd/matmul.h, whose steps take two of the depth.
#include "../simd/matmul.h"
#include "avx512.h"
#include "bfloat16_pack.h"

namespace dllm {

namespace {

struct PairStep {
    using Float = Avx512::Float;
    static Float splat(const float* word) {
        int32_t bits;
        __builtin_memcpy(&bits, word, sizeof bits);
        return (Float)_mm512_set1_epi32(bits);
    }
    static Float fma(Float a, Float b, Float sum) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }
};

void product(const ProductBlock& block) {
    const int64_t words = words_of(block.depth);
    simd::product_panels<Avx512, PairStep>(block, {block.row_tiles, words, 1}, 0, words);
}

}  // namespace

extern const ProductKernels AVX512_BF16_PRODUCTS;
constinit const ProductKernels AVX512_BF16_PRODUCTS = {"avx512_bf16",
                                                       512,
                                                       DEPTH_MULTIPLE,
                                                       2,
                                                       simd::PANEL_COLUMNS<Avx512>,
                                                       pack_panels<simd::PANEL_COLUMNS<Avx512>>,
                                                       ROWS_PER_TILE,
                                                       pack_rows,
                                                       false,
                                                       product};

}  // namespace dllm
