// Activations: gelu in its tanh form, written as x sigmoid(2u); silu; swiglu.
#include "backend.h"
#include "dispatch.h"
#include "exponential.h"

namespace dllm::cuda {
namespace {

// 0 far below zero, 1 far above: the exponential of a large -x is infinity, and its reciprocal zero.
__device__ inline float sigmoid(float x) { return fast_reciprocal(1.0f + fast_exp2(-LOG2_E * x)); }

// sigmoid(x) and 1 - sigmoid(x), neither by cancellation
struct Shares {
    float of_one, of_zero;
};

__device__ inline Shares sigmoid_shares(float x) {
    const float e = fast_exp2(-LOG2_E * fabsf(x));
    const float larger = fast_reciprocal(1.0f + e), smaller = e * larger;
    return x < 0 ? Shares{smaller, larger} : Shares{larger, smaller};
}

struct Gelu {
    // 2u = 2 sqrt(2/pi) (x + 0.044715 x^3) = x (LINEAR + CUBIC x^2), as 1/2 (1 + tanh u) = sigmoid(2u)
    static constexpr float LINEAR = 1.5957691216057308f, CUBIC = 0.07135481627159471f;

    __device__ static float forward(float x) { return x * sigmoid(x * fmaf(x * x, CUBIC, LINEAR)); }

    __device__ static float derivative(float x) {
        // Beyond 12 the sigmoid is 0 or 1 in float32; the cube of a large x would not be finite. NaN stays NaN.
        float near = x < -12.0f ? -12.0f : x;
        near = near > 12.0f ? 12.0f : near;
        const float square = near * near;
        const Shares s = sigmoid_shares(near * fmaf(square, CUBIC, LINEAR));
        return fmaf(s.of_one * s.of_zero, near * fmaf(square, 3 * CUBIC, LINEAR), s.of_one);
    }
};

struct Silu {
    __device__ static float forward(float x) { return x * sigmoid(x); }

    __device__ static float derivative(float x) {
        const Shares s = sigmoid_shares(x);
        return s.of_one * fmaf(x, s.of_zero, 1.0f);
    }
};

// out (N, F) = function(x)
template <class Function, class T, int WIDTH>
__global__ void map_forward(Rows<T> out, Rows<const T> x, int64_t N, int64_t F) {
    for_each_group<WIDTH>(N, F, [&](int64_t n, int64_t f) {
        float values[WIDTH];
        load(values, x.row(n) + f);
        for (int i = 0; i < WIDTH; i++) values[i] = Function::forward(values[i]);
        store(out.row(n) + f, values);
    });
}

template <class Function, class T, int WIDTH>
__global__ void map_backward(Rows<T> dx, Rows<const T> dout, Rows<const T> x, int64_t N, int64_t F) {
    for_each_group<WIDTH>(N, F, [&](int64_t n, int64_t f) {
        float values[WIDTH], gradients[WIDTH];
        load(values, x.row(n) + f);
        load(gradients, dout.row(n) + f);
        for (int i = 0; i < WIDTH; i++) gradients[i] *= Function::derivative(values[i]);
        store(dx.row(n) + f, gradients);
    });
}

// x (N, 2F) = gate, up:  out (N, F) = silu(gate) up
template <class T, int WIDTH>
__global__ void swiglu_forward(Rows<T> out, Rows<const T> x, int64_t N, int64_t F) {
    for_each_group<WIDTH>(N, F, [&](int64_t n, int64_t f) {
        float gate[WIDTH], up[WIDTH];
        load(gate, x.row(n) + f);
        load(up, x.row(n) + F + f);
        for (int i = 0; i < WIDTH; i++) up[i] *= Silu::forward(gate[i]);
        store(out.row(n) + f, up);
    });
}

template <class T, int WIDTH>
__global__ void swiglu_backward(Rows<T> dx, Rows<const T> dout, Rows<const T> x, int64_t N, int64_t F) {
    for_each_group<WIDTH>(N, F, [&](int64_t n, int64_t f) {
        float gate[WIDTH], up[WIDTH], gradients[WIDTH];
        load(gate, x.row(n) + f);
        load(up, x.row(n) + F + f);
        load(gradients, dout.row(n) + f);
        for (int i = 0; i < WIDTH; i++) {
            up[i] *= gradients[i] * Silu::derivative(gate[i]);
            gate[i] = gradients[i] * Silu::forward(gate[i]);
        }
        store(dx.row(n) + f, up);
        store(dx.row(n) + F + f, gate);
    });
}

template <class T, int WIDTH>
auto forward_kernel(Activation kind) {
    switch (kind) {
        case Activation::gelu: return map_forward<Gelu, T, WIDTH>;
        case Activation::silu: return map_forward<Silu, T, WIDTH>;
        case Activation::swiglu: break;
    }
    return swiglu_forward<T, WIDTH>;
}

template <class T, int WIDTH>
auto backward_kernel(Activation kind) {
    switch (kind) {
        case Activation::gelu: return map_backward<Gelu, T, WIDTH>;
        case Activation::silu: return map_backward<Silu, T, WIDTH>;
        case Activation::swiglu: break;
    }
    return swiglu_backward<T, WIDTH>;
}

int64_t input_columns(int64_t columns, Activation kind) { return kind == Activation::swiglu ? 2 * columns : columns; }

}  // namespace

void CudaBackend::activation_forward(Tensor out, Tensor x, Activation kind) {
    const OpCheck op("activation_forward");
    const int64_t N = out.rows, F = out.cols;
    op.shape("out", out, N, F, compute_);
    op.shape("x", x, N, input_columns(F, kind), compute_);
    if (out.count() == 0) return;
    // For swiglu the packs of `out` say that `up` begins at one, too.
    dispatch(compute_, in_packs({out, x}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        launch_over("activation_forward", forward_kernel<T, WIDTH>(kind), N, F, WIDTH, context_.stream(),
                    rows_of<T>(out), rows_of<const T>(x));
    });
}

void CudaBackend::activation_backward(Tensor dx, Tensor dout, Tensor x, Activation kind) {
    const OpCheck op("activation_backward");
    const int64_t N = dout.rows, F = dout.cols;
    op.shape("dx", dx, N, input_columns(F, kind), compute_);
    op.shape("dout", dout, N, F, compute_);
    op.shape("x", x, N, input_columns(F, kind), compute_);
    if (dout.count() == 0) return;
    dispatch(compute_, in_packs({dx, dout, x}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        launch_over("activation_backward", backward_kernel<T, WIDTH>(kind), N, F, WIDTH, context_.stream(),
                    rows_of<T>(dx), rows_of<const T>(dout), rows_of<const T>(x));
    });
}

}  // namespace dllm::cuda
