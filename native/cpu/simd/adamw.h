// The optimizer's passes over a flat range: sum of squares, the AdamW update (Loshchilov & Hutter, 2019), and the
// moving average of the weights.
#pragma once

#include "../kernels.h"
#include "vector.h"

namespace dllm::simd {

template <class Isa>
double square_sum(const float* x, int64_t count) {
    constexpr int LANES = 16;
    double sums[LANES] = {};
    const int64_t whole = count / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) sums[lane] += double(x[i + lane]) * double(x[i + lane]);
    }
    double total = 0;
    for (int lane = 0; lane < LANES; lane++) total += sums[lane];
    for (int64_t i = whole; i < count; i++) total += double(x[i]) * double(x[i]);
    return total;
}

template <class Isa>
void adamw(float* weights, float* first_moment, float* second_moment, const float* gradients,
           const AdamWFactors& factors, int64_t count) {
    using Float = typename Isa::Float;
    const Float gradient_scale = splat<Isa>(factors.gradient_scale), decay = splat<Isa>(factors.decay);
    const Float beta1 = splat<Isa>(factors.beta1), rest1 = splat<Isa>(1.0f - factors.beta1);
    const Float beta2 = splat<Isa>(factors.beta2), rest2 = splat<Isa>(1.0f - factors.beta2);
    const Float step = splat<Isa>(factors.learning_rate / factors.bias_correction1);
    const Float root_scale = splat<Isa>(1.0f / __builtin_sqrtf(factors.bias_correction2));
    const Float epsilon = splat<Isa>(factors.epsilon);
    sweep<Isa>(count, [&](int64_t i, auto part) {
        const Float g = part.load(gradients + i) * gradient_scale;
        const Float m = Isa::fma(beta1, part.load(first_moment + i), rest1 * g);
        const Float v = Isa::fma(beta2, part.load(second_moment + i), rest2 * (g * g));
        const Float denominator = Isa::fma(Isa::sqrt(v), root_scale, epsilon);
        part.store(first_moment + i, m);
        part.store(second_moment + i, v);
        part.store(weights + i, Isa::fma(part.load(weights + i), decay, -(step * m / denominator)));
    });
}

template <class Isa>
void moving_average(float* out, const float* x, float rest, int64_t count) {
    sweep<Isa>(count, [&](int64_t i, auto part) {
        const typename Isa::Float old = part.load(out + i);
        part.store(out + i, Isa::fma(splat<Isa>(rest), part.load(x + i) - old, old));
    });
}

}  // namespace dllm::simd
