// Reference loops: matrix products with a weight stored (I, O) or (O, I).
#pragma once

#include "config.h"
#include "matrix.h"

namespace dllm::reference {

// The element that connects input i with output o, whichever way the weight is stored.
template <typename Weight>
auto& weight_at(Weight& weight, int64_t i, int64_t o, WeightLayout layout) {
    return layout == WeightLayout::in_out ? weight(i, o) : weight(o, i);
}

// out (N, O) = x (N, I) W + bias + residual;  residual may be out itself
template <typename Real>
void matmul_forward(Matrix<Real>& out, const Matrix<Real>& x, const Matrix<Real>& weight, const Matrix<Real>& bias,
                    const Matrix<Real>& residual, WeightLayout layout) {
    for (int64_t n = 0; n < out.rows; n++) {
        for (int64_t o = 0; o < out.cols; o++) {
            Real sum = 0;
            for (int64_t i = 0; i < x.cols; i++) sum += x(n, i) * weight_at(weight, i, o, layout);
            if (bias) sum += bias(0, o);
            if (residual) sum += residual(n, o);
            out(n, o) = sum;
        }
    }
}

// dx (N, I) = dout (N, O) W^T
template <typename Real>
void matmul_backward_input(Matrix<Real>& dx, const Matrix<Real>& dout, const Matrix<Real>& weight,
                           WeightLayout layout) {
    for (int64_t n = 0; n < dx.rows; n++) {
        for (int64_t i = 0; i < dx.cols; i++) {
            Real sum = 0;
            for (int64_t o = 0; o < dout.cols; o++) sum += dout(n, o) * weight_at(weight, i, o, layout);
            dx(n, i) = sum;
        }
    }
}

// dbias (1, O) += column sums of dout
template <typename Real>
void matmul_backward_bias(Matrix<Real>& dbias, const Matrix<Real>& dout) {
    for (int64_t n = 0; n < dout.rows; n++) {
        for (int64_t o = 0; dbias && o < dout.cols; o++) dbias(0, o) += dout(n, o);
    }
}

// dW += x^T dout, and the bias
template <typename Real>
void matmul_backward_weight(Matrix<Real>& dweight, Matrix<Real>& dbias, const Matrix<Real>& x, const Matrix<Real>& dout,
                            WeightLayout layout) {
    for (int64_t n = 0; n < x.rows; n++) {
        for (int64_t i = 0; i < x.cols; i++) {
            for (int64_t o = 0; o < dout.cols; o++) weight_at(dweight, i, o, layout) += x(n, i) * dout(n, o);
        }
    }
    matmul_backward_bias(dbias, dout);
}

}  // namespace dllm::reference
