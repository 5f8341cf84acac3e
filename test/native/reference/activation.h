// Reference loops: GELU in its tanh form, SiLU, and SwiGLU on rows of gate then up.
#pragma once

#include "config.h"
#include "matmul.h"
#include "matrix.h"

#include <cmath>
#include <numbers>

namespace dllm::reference {

inline constexpr double GELU_CUBIC = 0.044715;

template <typename Real>
Real sigmoid(Real x) {
    return Real(1) / (Real(1) + std::exp(-x));
}

// x / 2 * (1 + tanh(u)) = x * sigmoid(2u)  with  u = sqrt(2 / pi) (x + 0.044715 x^3)
template <typename Real>
Real gelu(Real x) {
    const Real scale = std::sqrt(Real(2) / std::numbers::pi_v<Real>);
    return x * sigmoid(Real(2) * scale * (x + Real(GELU_CUBIC) * x * x * x));
}

// With s = sigmoid(2u):  s + x * s * (1 - s) * 2u'
template <typename Real>
Real gelu_derivative(Real x) {
    const Real scale = std::sqrt(Real(2) / std::numbers::pi_v<Real>);
    const Real s = sigmoid(Real(2) * scale * (x + Real(GELU_CUBIC) * x * x * x));
    return s + x * s * (Real(1) - s) * Real(2) * scale * (Real(1) + Real(3 * GELU_CUBIC) * x * x);
}

template <typename Real>
Real silu(Real x) {
    return x * sigmoid(x);
}

template <typename Real>
Real silu_derivative(Real x) {
    const Real s = sigmoid(x);
    return s + x * s * (Real(1) - s);
}

// gelu, silu: out, x (N, F)   swiglu: out (N, F) = silu(gate) * up  with  x (N, 2F) = gate, up
template <typename Real>
void activation_forward(Matrix<Real>& out, const Matrix<Real>& x, Activation kind) {
    const int64_t F = out.cols;
    for (int64_t n = 0; n < out.rows; n++) {
        for (int64_t f = 0; f < F; f++) {
            switch (kind) {
                case Activation::gelu: out(n, f) = gelu(x(n, f)); break;
                case Activation::silu: out(n, f) = silu(x(n, f)); break;
                case Activation::swiglu: out(n, f) = silu(x(n, f)) * x(n, F + f); break;
            }
        }
    }
}

// dx = dout * derivative(x);  swiglu: dgate = dout * up * silu'(gate),  dup = dout * silu(gate)
template <typename Real>
void activation_backward(Matrix<Real>& dx, const Matrix<Real>& dout, const Matrix<Real>& x, Activation kind) {
    const int64_t F = dout.cols;
    for (int64_t n = 0; n < dout.rows; n++) {
        for (int64_t f = 0; f < F; f++) {
            switch (kind) {
                case Activation::gelu: dx(n, f) = dout(n, f) * gelu_derivative(x(n, f)); break;
                case Activation::silu: dx(n, f) = dout(n, f) * silu_derivative(x(n, f)); break;
                case Activation::swiglu:
                    dx(n, f) = dout(n, f) * x(n, F + f) * silu_derivative(x(n, f));
                    dx(n, F + f) = dout(n, f) * silu(x(n, f));
                    break;
            }
        }
    }
}

// pre = x W + bias,  out = activation(pre)
template <typename Real>
void matmul_activation_forward(Matrix<Real>& out, Matrix<Real>& pre, const Matrix<Real>& x, const Matrix<Real>& weight,
                               const Matrix<Real>& bias, Activation kind, WeightLayout layout) {
    matmul_forward(pre, x, weight, bias, {}, layout);
    activation_forward(out, pre, kind);
}

// dpre = (dout W^T) * activation'(pre)
template <typename Real>
void matmul_activation_backward(Matrix<Real>& dpre, const Matrix<Real>& dout, const Matrix<Real>& weight,
                                const Matrix<Real>& pre, Activation kind, WeightLayout layout) {
    Matrix<Real> dhidden(dout.rows, layout == WeightLayout::in_out ? weight.rows : weight.cols);
    matmul_backward_input(dhidden, dout, weight, layout);
    activation_backward(dpre, dhidden, pre, kind);
}

}  // namespace dllm::reference
