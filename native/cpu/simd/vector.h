// Vectors of one instruction set. Isa gives WIDTH, the types and the operations that vector extensions lack.
//
// Everything below is a template over Isa, which each isa/*.cpp defines in an unnamed namespace: so every instance is
// local to that file, and the linker can never pick one that was compiled for another CPU. For the same reason
// nothing of the standard library with code of its own is used here.
#pragma once

#include <cstdint>

namespace dllm::simd {

template <class Isa>
[[gnu::always_inline]] inline typename Isa::Float load(const float* from) {
    typename Isa::Float v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}

template <class Isa>
[[gnu::always_inline]] inline void store(float* to, typename Isa::Float v) {
    __builtin_memcpy(to, &v, sizeof v);
}

template <class Isa>
[[gnu::always_inline]] inline typename Isa::Float splat(float x) {
    return x - typename Isa::Float{};
}

template <class Isa>
[[gnu::always_inline]] inline typename Isa::Int splat_int(int32_t x) {
    return x - typename Isa::Int{};
}

template <class Isa>
[[gnu::always_inline]] inline typename Isa::Int as_int(typename Isa::Float v) {
    return (typename Isa::Int)v;
}

template <class Isa>
[[gnu::always_inline]] inline typename Isa::Float as_float(typename Isa::Int v) {
    return (typename Isa::Float)v;
}

// v 2^n for whole n from -252 to 254, in two steps so that neither factor overflows.
template <class Isa>
[[gnu::always_inline]] inline typename Isa::Float scale_in_two_steps(typename Isa::Float v, typename Isa::Float n) {
    using Int = typename Isa::Int;
    const Int e = __builtin_convertvector(n, Int);
    const Int half = e >> 1;
    return v * as_float<Isa>((half + 127) << 23) * as_float<Isa>((e - half + 127) << 23);
}

// 0, 1, 2, ...
template <class Isa>
[[gnu::always_inline]] inline typename Isa::Int iota() {
    typename Isa::Int v{};
    for (int i = 0; i < Isa::WIDTH; i++) v[i] = i;
    return v;
}

// A whole vector of a row, or the first few lanes of its last one; loads fill the other lanes.
template <class Isa>
struct Whole {
    [[gnu::always_inline]] typename Isa::Float load(const float* from, float = 0) const {
        return simd::load<Isa>(from);
    }
    [[gnu::always_inline]] void store(float* to, typename Isa::Float v) const { simd::store<Isa>(to, v); }
};

template <class Isa>
struct Part {
    int lanes;
    [[gnu::always_inline]] typename Isa::Float load(const float* from, float fill = 0) const {
        const typename Isa::Float v = Isa::load_first(from, lanes);
        return fill == 0 ? v : (iota<Isa>() < splat_int<Isa>(lanes) ? v : splat<Isa>(fill));
    }
    [[gnu::always_inline]] void store(float* to, typename Isa::Float v) const { Isa::store_first(to, v, lanes); }
};

// body(column, Whole or Part) over a row's vectors in order.
template <class Isa, class Body>
[[gnu::always_inline]] inline void sweep(int64_t columns, const Body& body) {
    int64_t c = 0;
    for (; c + Isa::WIDTH <= columns; c += Isa::WIDTH) body(c, Whole<Isa>{});
    if (c < columns) body(c, Part<Isa>{int(columns - c)});
}

template <class Isa>
[[gnu::always_inline]] inline float row_sum(const float* x, int64_t columns) {
    typename Isa::Float sum{};
    sweep<Isa>(columns, [&](int64_t c, auto part) { sum += part.load(x + c); });
    return Isa::sum(sum);
}

template <class Isa>
[[gnu::always_inline]] inline float row_dot(const float* a, const float* b, int64_t columns) {
    typename Isa::Float sum{};
    sweep<Isa>(columns, [&](int64_t c, auto part) { sum = Isa::fma(part.load(a + c), part.load(b + c), sum); });
    return Isa::sum(sum);
}

template <int VALUE>
struct Index {
    static constexpr int value = VALUE;
};

// body(Index<0>{}), ..., body(Index<COUNT - 1>{}): a loop that is always unrolled, so arrays indexed in it stay in
// registers.
template <int COUNT, class Body>
[[gnu::always_inline]] inline void unroll(const Body& body) {
    if constexpr (COUNT > 0) {
        unroll<COUNT - 1>(body);
        body(Index<COUNT - 1>{});
    }
}

}  // namespace dllm::simd
