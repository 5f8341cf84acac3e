// Queries and keys: weightless RMS norm of each head, then the rotary embedding in half-split convention.
#pragma once

#include "norm.h"

namespace dllm::simd {

// (a, b) -> (a cos - b sin, b cos + a sin) on each pair (c, c + half) of a head, both scaled first; SIGN -1 rotates
// back.
template <class Isa, int SIGN>
[[gnu::always_inline]] inline void rotate_head(float* head, int64_t half, const float* cosines,
                                               typename Isa::Float scale) {
    using Float = typename Isa::Float;
    sweep<Isa>(half, [&](int64_t c, auto part) {
        const Float a = part.load(head + c) * scale, b = part.load(head + half + c) * scale;
        const Float cosine = part.load(cosines + c), sine = part.load(cosines + half + c) * splat<Isa>(SIGN);
        part.store(head + c, Isa::fma(a, cosine, -(b * sine)));
        part.store(head + half + c, Isa::fma(a, sine, b * cosine));
    });
}

template <class Isa>
void query_key_forward(Rows qkv, Rows rstd, const int32_t* positions, const HeadRows& shape, int64_t rows) {
    const int64_t width = shape.head_width;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t h = 0; h < shape.heads; h++) {
            float* head = qkv.data + r * qkv.stride + h * width;
            float s = 1.0f;
            if (shape.normalize) {
                s = 1.0f / __builtin_sqrtf(row_dot<Isa>(head, head, width) / float(width) + shape.eps);
                rstd.data[r * rstd.stride + h] = s;
            }
            const typename Isa::Float scale = splat<Isa>(s);
            if (shape.rotary_table != nullptr) {
                const float* cosines = shape.rotary_table + positions[r] * shape.rotary_stride;
                rotate_head<Isa, 1>(head, width / 2, cosines, scale);
            } else {
                sweep<Isa>(width, [&](int64_t c, auto part) { part.store(head + c, part.load(head + c) * scale); });
            }
        }
    }
}

// A rotation keeps dot products, so the norm's backward pass runs on the rotated values z that qkv holds:
//   dx = rotate back (rstd (dz - z mean(dz z)))
template <class Isa>
void query_key_backward(Rows dqkv, ConstRows qkv, ConstRows rstd, const int32_t* positions, const HeadRows& shape,
                        int64_t rows) {
    const int64_t width = shape.head_width;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t h = 0; h < shape.heads; h++) {
            float* gradient = dqkv.data + r * dqkv.stride + h * width;
            if (shape.normalize) {
                const float* head = qkv.data + r * qkv.stride + h * width;
                const typename Isa::Float s = splat<Isa>(rstd.data[r * rstd.stride + h]);
                const typename Isa::Float mean = splat<Isa>(row_dot<Isa>(gradient, head, width) / float(width));
                sweep<Isa>(width, [&](int64_t c, auto part) {
                    part.store(gradient + c, s * Isa::fma(-part.load(head + c), mean, part.load(gradient + c)));
                });
            }
            if (shape.rotary_table != nullptr) {
                const float* cosines = shape.rotary_table + positions[r] * shape.rotary_stride;
                rotate_head<Isa, -1>(gradient, width / 2, cosines, splat<Isa>(1.0f));
            }
        }
    }
}

}  // namespace dllm::simd
