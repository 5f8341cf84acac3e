// The kernels for AVX2 with FMA.
#include "../simd/table.h"

#include <immintrin.h>

namespace dllm {

namespace {

struct Isa {
    static constexpr int WIDTH = 8;
    static constexpr int TILE_ROWS = 6;
    static constexpr int TILE_VECTORS = 2;
    using Float [[gnu::vector_size(32)]] = float;
    using Int [[gnu::vector_size(32)]] = int32_t;
    using Uint [[gnu::vector_size(32)]] = uint32_t;
    using Wide [[gnu::vector_size(32)]] = uint64_t;

    static Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
    static Float sqrt(Float v) { return _mm256_sqrt_ps(v); }
    // b where either is NaN.
    static Float larger(Float a, Float b) { return _mm256_max_ps(a, b); }
    static Float smaller(Float a, Float b) { return _mm256_min_ps(a, b); }
    static Float scale(Float v, Float n) { return simd::scale_in_two_steps<Isa>(v, n); }
    static Float load_first(const float* from, int lanes) { return _mm256_maskload_ps(from, first(lanes)); }
    static void store_first(float* to, Float v, int lanes) { _mm256_maskstore_ps(to, first(lanes), v); }
    static float sum(Float v) {
        const __m128 four = _mm256_castps256_ps128(v) + _mm256_extractf128_ps(v, 1);
        const __m128 two = four + _mm_movehl_ps(four, four);
        return two[0] + two[1];
    }
    static float largest(Float v) {
        const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
        const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        return two[0] > two[1] ? two[0] : two[1];
    }
    static bool any(Int mask) { return _mm256_movemask_ps((__m256)mask) != 0; }
    static Wide multiply_low_halves(Wide a, Wide b) { return (Wide)_mm256_mul_epu32((__m256i)a, (__m256i)b); }

private:
    static __m256i first(int lanes) { return (__m256i)(simd::iota<Isa>() < simd::splat_int<Isa>(lanes)); }
};

}  // namespace

extern const Kernels AVX2_KERNELS;
constinit const Kernels AVX2_KERNELS = simd::make_kernels<Isa>("avx2");

}  // namespace dllm
