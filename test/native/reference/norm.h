// Reference loops: layer norm and RMS norm over the columns of each row.
#pragma once

#include "matrix.h"

#include <cmath>

namespace dllm::reference {

// mean = sum(x) / C,  rstd = 1 / sqrt(sum((x - mean)^2) / C + eps),  out = (x - mean) * rstd * weight + bias
template <typename Real>
void layer_norm_forward(Matrix<Real>& out, Matrix<Real>& mean, Matrix<Real>& rstd, const Matrix<Real>& x,
                        const Matrix<Real>& weight, const Matrix<Real>& bias, double eps) {
    const int64_t C = x.cols;
    for (int64_t n = 0; n < x.rows; n++) {
        Real sum = 0, square_sum = 0;
        for (int64_t c = 0; c < C; c++) sum += x(n, c);
        const Real m = sum / Real(C);
        for (int64_t c = 0; c < C; c++) square_sum += (x(n, c) - m) * (x(n, c) - m);
        const Real r = Real(1) / std::sqrt(square_sum / Real(C) + Real(eps));
        for (int64_t c = 0; c < C; c++) {
            out(n, c) = (x(n, c) - m) * r * weight(0, c) + (bias ? bias(0, c) : Real(0));
        }
        mean(0, n) = m;
        rstd(0, n) = r;
    }
}

// With h = (x - mean) * rstd and g = dout * weight:
// dx += rstd * (g - mean(g) - h * mean(g * h)),  dweight += dout * h,  dbias += dout
template <typename Real>
void layer_norm_backward(Matrix<Real>& dx, Matrix<Real>& dweight, Matrix<Real>& dbias, const Matrix<Real>& dout,
                         const Matrix<Real>& x, const Matrix<Real>& weight, const Matrix<Real>& mean,
                         const Matrix<Real>& rstd) {
    const int64_t C = x.cols;
    for (int64_t n = 0; n < x.rows; n++) {
        const Real m = mean(0, n), r = rstd(0, n);
        Real sum_g = 0, sum_gh = 0;
        for (int64_t c = 0; c < C; c++) {
            const Real g = dout(n, c) * weight(0, c);
            sum_g += g;
            sum_gh += g * (x(n, c) - m) * r;
        }
        for (int64_t c = 0; c < C; c++) {
            const Real h = (x(n, c) - m) * r;
            dx(n, c) += r * (dout(n, c) * weight(0, c) - sum_g / Real(C) - h * sum_gh / Real(C));
            dweight(0, c) += dout(n, c) * h;
            if (dbias) dbias(0, c) += dout(n, c);
        }
    }
}

// rstd = 1 / sqrt(sum(x^2) / C + eps),  out = x * rstd * weight
template <typename Real>
void rms_norm_forward(Matrix<Real>& out, Matrix<Real>& rstd, const Matrix<Real>& x, const Matrix<Real>& weight,
                      double eps) {
    const int64_t C = x.cols;
    for (int64_t n = 0; n < x.rows; n++) {
        Real square_sum = 0;
        for (int64_t c = 0; c < C; c++) square_sum += x(n, c) * x(n, c);
        const Real r = Real(1) / std::sqrt(square_sum / Real(C) + Real(eps));
        for (int64_t c = 0; c < C; c++) out(n, c) = x(n, c) * r * weight(0, c);
        rstd(0, n) = r;
    }
}

// With h = x * rstd and g = dout * weight:  dx += rstd * (g - h * mean(g * h)),  dweight += dout * h
template <typename Real>
void rms_norm_backward(Matrix<Real>& dx, Matrix<Real>& dweight, const Matrix<Real>& dout, const Matrix<Real>& x,
                       const Matrix<Real>& weight, const Matrix<Real>& rstd) {
    const int64_t C = x.cols;
    for (int64_t n = 0; n < x.rows; n++) {
        const Real r = rstd(0, n);
        Real sum_gh = 0;
        for (int64_t c = 0; c < C; c++) sum_gh += dout(n, c) * weight(0, c) * x(n, c) * r;
        for (int64_t c = 0; c < C; c++) {
            const Real h = x(n, c) * r;
            dx(n, c) += r * (dout(n, c) * weight(0, c) - h * sum_gh / Real(C));
            dweight(0, c) += dout(n, c) * h;
        }
    }
}

}  // namespace dllm::reference
