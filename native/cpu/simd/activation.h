// Activations: gelu in its tanh form, written as x sigmoid(2u); silu; swiglu.
#pragma once

#include "../kernels.h"
#include "math.h"

namespace dllm::simd {

// 2u = 2 sqrt(2/pi) (x + 0.044715 x^3) = x (LINEAR + CUBIC x^2), as 1/2 (1 + tanh u) = sigmoid(2u)
constexpr float GELU_LINEAR = 1.5957691216057308f;
constexpr float GELU_CUBIC = 0.07135481627159471f;

template <class Isa>
struct Gelu {
    using Float = typename Isa::Float;
    [[gnu::always_inline]] static Float forward(Float x) {
        const Float slope = Isa::fma(x * x, splat<Isa>(GELU_CUBIC), splat<Isa>(GELU_LINEAR));
        return x * sigmoid<Isa>(x * slope);
    }
    [[gnu::always_inline]] static Float derivative(Float x) {
        // Beyond 12 the sigmoid is 0 or 1 in float32; the cube of a large x would not be finite.
        Float near = x < splat<Isa>(-12.0f) ? splat<Isa>(-12.0f) : x;
        near = near > splat<Isa>(12.0f) ? splat<Isa>(12.0f) : near;
        const Float square = near * near;
        const Float s = sigmoid<Isa>(near * Isa::fma(square, splat<Isa>(GELU_CUBIC), splat<Isa>(GELU_LINEAR)));
        const Float slope = near * Isa::fma(square, splat<Isa>(3 * GELU_CUBIC), splat<Isa>(GELU_LINEAR));
        return Isa::fma(s * (splat<Isa>(1.0f) - s), slope, s);
    }
};

template <class Isa>
struct Silu {
    using Float = typename Isa::Float;
    [[gnu::always_inline]] static Float forward(Float x) { return x * sigmoid<Isa>(x); }
    [[gnu::always_inline]] static Float derivative(Float x) {
        const Float s = sigmoid<Isa>(x);
        return s * Isa::fma(x, splat<Isa>(1.0f) - s, splat<Isa>(1.0f));
    }
};

template <class Isa, template <class> class Function>
void map_rows(Rows out, ConstRows x, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r++) {
        const float* from = x.data + r * x.stride;
        float* to = out.data + r * out.stride;
        sweep<Isa>(columns,
                   [&](int64_t c, auto part) { part.store(to + c, Function<Isa>::forward(part.load(from + c))); });
    }
}

template <class Isa, template <class> class Function>
void map_rows_backward(Rows dx, ConstRows dout, ConstRows x, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r++) {
        const float* from = x.data + r * x.stride;
        const float* gradient = dout.data + r * dout.stride;
        float* to = dx.data + r * dx.stride;
        sweep<Isa>(columns, [&](int64_t c, auto part) {
            part.store(to + c, part.load(gradient + c) * Function<Isa>::derivative(part.load(from + c)));
        });
    }
}

// x (rows, 2 columns) = gate, up:  out = silu(gate) up
template <class Isa>
void swiglu_forward(Rows out, ConstRows x, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r++) {
        const float* gate = x.data + r * x.stride;
        const float* up = gate + columns;
        float* to = out.data + r * out.stride;
        sweep<Isa>(columns, [&](int64_t c, auto part) {
            part.store(to + c, Silu<Isa>::forward(part.load(gate + c)) * part.load(up + c));
        });
    }
}

template <class Isa>
void swiglu_backward(Rows dx, ConstRows dout, ConstRows x, int64_t rows, int64_t columns) {
    using Float = typename Isa::Float;
    for (int64_t r = 0; r < rows; r++) {
        const float* gate = x.data + r * x.stride;
        const float* up = gate + columns;
        const float* gradient = dout.data + r * dout.stride;
        float* dgate = dx.data + r * dx.stride;
        float* dup = dgate + columns;
        sweep<Isa>(columns, [&](int64_t c, auto part) {
            const Float g = part.load(gate + c), u = part.load(up + c), d = part.load(gradient + c);
            part.store(dgate + c, d * u * Silu<Isa>::derivative(g));
            part.store(dup + c, d * Silu<Isa>::forward(g));
        });
    }
}

}  // namespace dllm::simd
