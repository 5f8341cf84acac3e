// Transposing while packing: WIDTH rows of memory become columns, four numbers of each at a time, by shuffles within
// lanes of four.
#pragma once

#include "vector.h"

namespace dllm::simd {

using Quad [[gnu::vector_size(16)]] = float;
using Octet [[gnu::vector_size(32)]] = float;

[[gnu::always_inline]] static inline Quad load_quad(const float* from) {
    Quad quad;
    __builtin_memcpy(&quad, from, sizeof quad);
    return quad;
}

// Lane l of four numbers holds those at from + l * stride.
template <class Isa>
[[gnu::always_inline]] inline typename Isa::Float load_lanes(const float* from, int64_t stride) {
    if constexpr (Isa::WIDTH == 4) {
        return load_quad(from);
    } else if constexpr (Isa::WIDTH == 8) {
        return __builtin_shufflevector(load_quad(from), load_quad(from + stride), 0, 1, 2, 3, 4, 5, 6, 7);
    } else {
        static_assert(Isa::WIDTH == 16);
        const Octet low = __builtin_shufflevector(load_quad(from), load_quad(from + stride), 0, 1, 2, 3, 4, 5, 6, 7);
        const Octet high =
            __builtin_shufflevector(load_quad(from + 2 * stride), load_quad(from + 3 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
        return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    }
}

// In every lane the same four of x's (0 ... 3) and y's (4 ... 7) numbers.
template <class Isa, int A, int B, int C, int D>
[[gnu::always_inline]] inline typename Isa::Float shuffle_lanes(typename Isa::Float x, typename Isa::Float y) {
    constexpr int W = Isa::WIDTH - 4;  // from x's numbers to y's, beyond those of a lane
    constexpr int a = A < 4 ? A : A + W, b = B < 4 ? B : B + W, c = C < 4 ? C : C + W, d = D < 4 ? D : D + W;
    if constexpr (Isa::WIDTH == 4) {
        return __builtin_shufflevector(x, y, a, b, c, d);
    } else if constexpr (Isa::WIDTH == 8) {
        return __builtin_shufflevector(x, y, a, b, c, d, a + 4, b + 4, c + 4, d + 4);
    } else {
        return __builtin_shufflevector(x, y, a, b, c, d, a + 4, b + 4, c + 4, d + 4, a + 8, b + 8, c + 8, d + 8, a + 12,
                                       b + 12, c + 12, d + 12);
    }
}

// to[k][n] = from[n][k] for k < 4, n < WIDTH
template <class Isa>
[[gnu::always_inline]] inline void transpose_four(float* to, int64_t to_stride, const float* from,
                                                  int64_t from_stride) {
    using Float = typename Isa::Float;
    Float rows[4];
    for (int n = 0; n < 4; n++) rows[n] = load_lanes<Isa>(from + n * from_stride, 4 * from_stride);
    const Float low01 = shuffle_lanes<Isa, 0, 4, 1, 5>(rows[0], rows[1]);
    const Float low23 = shuffle_lanes<Isa, 0, 4, 1, 5>(rows[2], rows[3]);
    const Float high01 = shuffle_lanes<Isa, 2, 6, 3, 7>(rows[0], rows[1]);
    const Float high23 = shuffle_lanes<Isa, 2, 6, 3, 7>(rows[2], rows[3]);
    store<Isa>(to, shuffle_lanes<Isa, 0, 1, 4, 5>(low01, low23));
    store<Isa>(to + to_stride, shuffle_lanes<Isa, 2, 3, 6, 7>(low01, low23));
    store<Isa>(to + 2 * to_stride, shuffle_lanes<Isa, 0, 1, 4, 5>(high01, high23));
    store<Isa>(to + 3 * to_stride, shuffle_lanes<Isa, 2, 3, 6, 7>(high01, high23));
}

// to (depth, columns) = the transpose of from (columns, depth), in squares of one cache line of each row
template <class Isa>
[[gnu::always_inline]] inline void transpose(float* to, int64_t to_stride, const float* from, int64_t from_stride,
                                             int64_t depth, int64_t columns) {
    constexpr int64_t LINE = 16;
    const int64_t whole_columns = columns / Isa::WIDTH * Isa::WIDTH, whole_depth = depth / 4 * 4;
    for (int64_t start = 0; start < whole_depth; start += LINE) {
        const int64_t end = start + LINE < whole_depth ? start + LINE : whole_depth;
        for (int64_t c = 0; c < whole_columns; c += Isa::WIDTH) {
            for (int64_t k = start; k < end; k += 4)
                transpose_four<Isa>(to + k * to_stride + c, to_stride, from + c * from_stride + k, from_stride);
        }
    }
    for (int64_t c = 0; c < columns; c++) {
        for (int64_t k = c < whole_columns ? whole_depth : 0; k < depth; k++)
            to[k * to_stride + c] = from[c * from_stride + k];
    }
}

}  // namespace dllm::simd
