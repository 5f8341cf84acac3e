// Elementary functions on vectors, a few units in the last place from exact.
#pragma once

#include "vector.h"

namespace dllm::simd {

// e^x: 0 below the smallest normal result, infinity above the largest, NaN for NaN.
template <class Isa>
[[gnu::always_inline]] inline typename Isa::Float exp(typename Isa::Float x) {
    using Float = typename Isa::Float;
    constexpr float LOG2_E = 1.44269504f, LN_2_HIGH = 0.693359375f, LN_2_LOW = -2.12194440e-4f;
    constexpr float SMALLEST = -87.33654f, LARGEST = 89.0f;
    constexpr float ROUNDER = 0x1.8p23f;  // adding it rounds to a whole number, left in the low bits
    const auto underflow = x < splat<Isa>(SMALLEST);
    const Float v = Isa::larger(splat<Isa>(SMALLEST), Isa::smaller(splat<Isa>(LARGEST), x));
    // x = n ln 2 + r
    const Float rounded = Isa::fma(v, splat<Isa>(LOG2_E), splat<Isa>(ROUNDER));
    const Float n = rounded - splat<Isa>(ROUNDER);
    Float r = Isa::fma(n, splat<Isa>(-LN_2_HIGH), v);
    r = Isa::fma(n, splat<Isa>(-LN_2_LOW), r);
    // Cephes' minimax polynomial of (e^r - 1 - r) / r^2
    Float p = splat<Isa>(1.9875691500e-4f);
    p = Isa::fma(p, r, splat<Isa>(1.3981999507e-3f));
    p = Isa::fma(p, r, splat<Isa>(8.3334519073e-3f));
    p = Isa::fma(p, r, splat<Isa>(4.1665795894e-2f));
    p = Isa::fma(p, r, splat<Isa>(1.6666665459e-1f));
    p = Isa::fma(p, r, splat<Isa>(5.0000001201e-1f));
    p = Isa::fma(p, r * r, r) + splat<Isa>(1.0f);
    return underflow ? Float{} : Isa::scale(p, n);
}

template <class Isa>
[[gnu::always_inline]] inline typename Isa::Float sigmoid(typename Isa::Float x) {
    return splat<Isa>(1.0f) / (splat<Isa>(1.0f) + exp<Isa>(-x));
}

// The operations of portable_log in rng.h, in its order and without fma: the same bits for the same input.
template <class Isa>
[[gnu::always_inline]] inline typename Isa::Float log(typename Isa::Float x) {
    using Float = typename Isa::Float;
    using Int = typename Isa::Int;
    const Int bits = as_int<Isa>(x);
    const Int e = (bits - splat_int<Isa>(0x3f3504f3)) >> 23;
    const Float m = as_float<Isa>(bits - (e << 23));
    const Float s = (m - splat<Isa>(1.0f)) / (m + splat<Isa>(1.0f));
    const Float z = s * s;
    Float inner = splat<Isa>(1.0f / 9) + z / splat<Isa>(11.0f);
    inner = splat<Isa>(1.0f / 7) + z * inner;
    inner = splat<Isa>(1.0f / 5) + z * inner;
    inner = splat<Isa>(1.0f / 3) + z * inner;
    const Float twice = splat<Isa>(2.0f) * s;
    const Float series = twice + twice * z * inner;
    const Float exponent = __builtin_convertvector(e, Float);
    return exponent * splat<Isa>(0.693359375f) + (series + exponent * splat<Isa>(-2.12194440e-4f));
}

}  // namespace dllm::simd
