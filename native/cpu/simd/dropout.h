// Dropout of one row, forward and backward alike.
#pragma once

#include "noise.h"

namespace dllm::simd {

template <class Isa>
void dropout(float* out, const float* x, const float* residual, int64_t columns, uint32_t threshold, float scale,
             const NoiseKey& noise) {
    using Float = typename Isa::Float;
    using Uint = typename Isa::Uint;
    alignas(64) uint32_t bits[NOISE_BLOCK];
    for (int64_t begin = 0; begin < columns; begin += NOISE_BLOCK) {
        const int64_t count = begin + NOISE_BLOCK < columns ? NOISE_BLOCK : columns - begin;
        noise_bits<Isa>(bits, begin, count, noise);
        sweep<Isa>(count, [&](int64_t c, auto part) {
            Uint draw;
            __builtin_memcpy(&draw, bits + c, sizeof draw);
            const Float scaled = part.load(x + begin + c) * splat<Isa>(scale);
            const Float kept = draw < threshold - Uint{} ? Float{} : scaled;
            part.store(out + begin + c, residual == nullptr ? kept : kept + part.load(residual + begin + c));
        });
    }
}

}  // namespace dllm::simd
