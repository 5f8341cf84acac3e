// Layer norm and RMS norm over the columns, one row at a time.
#pragma once

#include "../kernels.h"
#include "vector.h"

namespace dllm::simd {

template <class Isa>
void add(float* out, const float* a, const float* b, int64_t columns) {
    sweep<Isa>(columns, [&](int64_t c, auto part) { part.store(out + c, part.load(a + c) + part.load(b + c)); });
}

template <class Isa>
void layer_norm_forward(Rows out, float* mean, float* rstd, ConstRows x, const float* weight, const float* bias,
                        float eps, int64_t rows, int64_t columns) {
    using Float = typename Isa::Float;
    for (int64_t r = 0; r < rows; r++) {
        const float* from = x.data + r * x.stride;
        float* to = out.data + r * out.stride;
        const float m = row_sum<Isa>(from, columns) / float(columns);
        Float squares{};
        sweep<Isa>(columns, [&](int64_t c, auto part) {
            const Float d = part.load(from + c, m) - splat<Isa>(m);
            squares = Isa::fma(d, d, squares);
        });
        const float s = 1.0f / __builtin_sqrtf(Isa::sum(squares) / float(columns) + eps);
        sweep<Isa>(columns, [&](int64_t c, auto part) {
            const Float h = (part.load(from + c) - splat<Isa>(m)) * splat<Isa>(s);
            const Float shift = bias != nullptr ? part.load(bias + c) : Float{};
            part.store(to + c, Isa::fma(h, part.load(weight + c), shift));
        });
        mean[r] = m;
        rstd[r] = s;
    }
}

// With h = (x - mean) rstd and g = dout weight:  dx += rstd (g - mean(g) - h mean(g h)),  dweight += dout h,  dbias +=
// dout
template <class Isa>
void layer_norm_backward(Rows dx, float* dweight, float* dbias, ConstRows dout, ConstRows x, const float* weight,
                         const float* mean, const float* rstd, int64_t rows, int64_t columns) {
    using Float = typename Isa::Float;
    for (int64_t r = 0; r < rows; r++) {
        const float* from = x.data + r * x.stride;
        const float* gradient = dout.data + r * dout.stride;
        float* to = dx.data + r * dx.stride;
        const Float m = splat<Isa>(mean[r]), s = splat<Isa>(rstd[r]);
        Float g_sum{}, gh_sum{};
        sweep<Isa>(columns, [&](int64_t c, auto part) {
            const Float g = part.load(gradient + c) * part.load(weight + c);
            g_sum += g;
            gh_sum = Isa::fma(g, (part.load(from + c) - m) * s, gh_sum);
        });
        const Float g_mean = splat<Isa>(Isa::sum(g_sum) / float(columns));
        const Float gh_mean = splat<Isa>(Isa::sum(gh_sum) / float(columns));
        sweep<Isa>(columns, [&](int64_t c, auto part) {
            const Float d = part.load(gradient + c);
            const Float h = (part.load(from + c) - m) * s;
            const Float centered = Isa::fma(d, part.load(weight + c), -Isa::fma(h, gh_mean, g_mean));
            part.store(to + c, Isa::fma(s, centered, part.load(to + c)));
            part.store(dweight + c, Isa::fma(d, h, part.load(dweight + c)));
            if (dbias != nullptr) part.store(dbias + c, part.load(dbias + c) + d);
        });
    }
}

template <class Isa>
void rms_norm_forward(Rows out, float* rstd, ConstRows x, const float* weight, float eps, int64_t rows,
                      int64_t columns) {
    for (int64_t r = 0; r < rows; r++) {
        const float* from = x.data + r * x.stride;
        float* to = out.data + r * out.stride;
        const float s = 1.0f / __builtin_sqrtf(row_dot<Isa>(from, from, columns) / float(columns) + eps);
        sweep<Isa>(columns, [&](int64_t c, auto part) {
            part.store(to + c, part.load(from + c) * splat<Isa>(s) * part.load(weight + c));
        });
        rstd[r] = s;
    }
}

// With h = x rstd and g = dout weight:  dx += rstd (g - h mean(g h)),  dweight += dout h
template <class Isa>
void rms_norm_backward(Rows dx, float* dweight, ConstRows dout, ConstRows x, const float* weight, const float* rstd,
                       int64_t rows, int64_t columns) {
    using Float = typename Isa::Float;
    for (int64_t r = 0; r < rows; r++) {
        const float* from = x.data + r * x.stride;
        const float* gradient = dout.data + r * dout.stride;
        float* to = dx.data + r * dx.stride;
        const Float s = splat<Isa>(rstd[r]);
        Float gh_sum{};
        sweep<Isa>(columns, [&](int64_t c, auto part) {
            gh_sum = Isa::fma(part.load(gradient + c) * part.load(weight + c), part.load(from + c) * s, gh_sum);
        });
        const Float gh_mean = splat<Isa>(Isa::sum(gh_sum) / float(columns));
        sweep<Isa>(columns, [&](int64_t c, auto part) {
            const Float d = part.load(gradient + c);
            const Float h = part.load(from + c) * s;
            const Float rest = Isa::fma(d, part.load(weight + c), -(h * gh_mean));
            part.store(to + c, Isa::fma(s, rest, part.load(to + c)));
            part.store(dweight + c, Isa::fma(d, h, part.load(dweight + c)));
        });
    }
}

}  // namespace dllm::simd
