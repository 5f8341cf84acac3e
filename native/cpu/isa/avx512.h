// Vectors of AVX-512, for the files that are compiled for it: each has a copy of its own (see simd/vector.h).
#pragma once

#include "../simd/vector.h"

#include <immintrin.h>

namespace dllm {

namespace {

struct Avx512 {
    static constexpr int WIDTH = 16;
    static constexpr int TILE_ROWS = 6;
    static constexpr int TILE_VECTORS = 4;
    using Float [[gnu::vector_size(64)]] = float;
    using Int [[gnu::vector_size(64)]] = int32_t;
    using Uint [[gnu::vector_size(64)]] = uint32_t;
    using Wide [[gnu::vector_size(64)]] = uint64_t;

    static Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
    // Zero-masked forms: the plain ones read an undefined vector in GCC's header, which it then warns about.
    static Float sqrt(Float v) { return _mm512_maskz_sqrt_ps(EVERY, v); }
    // b where either is NaN.
    static Float larger(Float a, Float b) { return _mm512_maskz_max_ps(EVERY, a, b); }
    static Float smaller(Float a, Float b) { return _mm512_maskz_min_ps(EVERY, a, b); }
    static Float scale(Float v, Float n) { return _mm512_maskz_scalef_ps(EVERY, v, n); }
    static Float load_first(const float* from, int lanes) { return _mm512_maskz_loadu_ps(first(lanes), from); }
    static void store_first(float* to, Float v, int lanes) { _mm512_mask_storeu_ps(to, first(lanes), v); }
    static float sum(Float v) {
        const __m256 eight = low(v) + high(v);
        const __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1);
        const __m128 two = four + _mm_movehl_ps(four, four);
        return two[0] + two[1];
    }
    static float largest(Float v) {
        const __m256 eight = _mm256_max_ps(low(v), high(v));
        const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        return two[0] > two[1] ? two[0] : two[1];
    }
    static bool any(Int mask) { return _mm512_movepi32_mask((__m512i)mask) != 0; }
    static Wide multiply_low_halves(Wide a, Wide b) {
        return (Wide)_mm512_maskz_mul_epu32(0xFF, (__m512i)a, (__m512i)b);
    }

private:
    static constexpr __mmask16 EVERY = 0xFFFF;
    static __m256 low(Float v) { return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7); }
    static __m256 high(Float v) { return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15); }
    static __mmask16 first(int lanes) { return __mmask16((1u << lanes) - 1); }
};

}  // namespace

}  // namespace dllm
