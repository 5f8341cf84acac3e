// The kernels for 64-bit Arm.
#include "../simd/table.h"

#include <arm_neon.h>

namespace dllm {

namespace {

struct Isa {
    static constexpr int WIDTH = 4;
    static constexpr int TILE_ROWS = 6;
    static constexpr int TILE_VECTORS = 4;
    using Float [[gnu::vector_size(16)]] = float;
    using Int [[gnu::vector_size(16)]] = int32_t;
    using Uint [[gnu::vector_size(16)]] = uint32_t;
    using Wide [[gnu::vector_size(16)]] = uint64_t;

    static Float fma(Float a, Float b, Float c) {
        return (Float)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
    }
    static Float sqrt(Float v) { return (Float)vsqrtq_f32((float32x4_t)v); }
    // b where either is NaN, or NaN.
    static Float larger(Float a, Float b) { return (Float)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
    static Float smaller(Float a, Float b) { return (Float)vminq_f32((float32x4_t)a, (float32x4_t)b); }
    static Float scale(Float v, Float n) { return simd::scale_in_two_steps<Isa>(v, n); }
    static Float load_first(const float* from, int lanes) {
        Float v{};
        __builtin_memcpy(&v, from, size_t(lanes) * sizeof(float));
        return v;
    }
    static void store_first(float* to, Float v, int lanes) { __builtin_memcpy(to, &v, size_t(lanes) * sizeof(float)); }
    static float sum(Float v) { return (v[0] + v[2]) + (v[1] + v[3]); }
    static float largest(Float v) {
        const float even = v[0] > v[2] ? v[0] : v[2], odd = v[1] > v[3] ? v[1] : v[3];
        return even > odd ? even : odd;
    }
    static bool any(Int mask) { return (mask[0] | mask[1] | mask[2] | mask[3]) != 0; }
    static Wide multiply_low_halves(Wide a, Wide b) { return (a & 0xFFFFFFFF) * (b & 0xFFFFFFFF); }
};

}  // namespace

extern const Kernels NEON_KERNELS;
constinit const Kernels NEON_KERNELS = simd::make_kernels<Isa>("neon");

}  // namespace dllm
