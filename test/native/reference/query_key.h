// Reference loops: the norm and rotation of query and key heads, in place.
#pragma once

#include "backend.h"
#include "matrix.h"

#include <cmath>

namespace dllm::reference {

// The rotary table a model makes: row p holds cos(p * theta^(-2d/D)) for d < D/2, then the sines.
template <typename Real>
Matrix<Real> rotary_table(int64_t positions, int64_t head_width, double theta) {
    Matrix<Real> table(positions, head_width);
    for (int64_t p = 0; p < positions; p++) {
        for (int64_t d = 0; d < head_width / 2; d++) {
            const double angle = double(p) * std::pow(theta, -2.0 * double(d) / double(head_width));
            table(p, d) = Real(std::cos(angle));
            table(p, head_width / 2 + d) = Real(std::sin(angle));
        }
    }
    return table;
}

// Turns the pair (x[d], x[d + D/2]) by angle d:  (x1 cos - x2 sin, x2 cos + x1 sin);  direction -1 turns it back
template <typename Real>
void rotate(Real* head, const Real* angles, int64_t D, Real direction) {
    for (int64_t d = 0; d < D / 2; d++) {
        const Real cosine = angles[d], sine = direction * angles[D / 2 + d];
        const Real x1 = head[d], x2 = head[D / 2 + d];
        head[d] = x1 * cosine - x2 * sine;
        head[D / 2 + d] = x2 * cosine + x1 * sine;
    }
}

// For each query and key head x (D):  rstd = 1 / sqrt(sum(x^2) / D + eps),  x = rotate(x * rstd, positions[n])
template <typename Real>
void query_key_forward(Matrix<Real>& qkv, Matrix<Real>& rstd, const std::vector<int32_t>& positions,
                       const Matrix<Real>& table, const HeadShape& shape) {
    const int64_t D = shape.head_width;
    for (int64_t n = 0; n < qkv.rows; n++) {
        for (int64_t h = 0; h < shape.heads + shape.kv_heads; h++) {
            Real* x = &qkv(n, h * D);
            if (shape.normalize) {
                Real square_sum = 0;
                for (int64_t d = 0; d < D; d++) square_sum += x[d] * x[d];
                rstd(n, h) = Real(1) / std::sqrt(square_sum / Real(D) + Real(shape.eps));
                for (int64_t d = 0; d < D; d++) x[d] *= rstd(n, h);
            }
            if (shape.rotate) rotate(x, &table(positions[n], 0), D, Real(1));
        }
    }
}

// With y the head after the forward pass, h = rotate_back(y) and g = rotate_back(dy):
// dx = rstd * (g - h * mean(g * h)),  or g without the norm
template <typename Real>
void query_key_backward(Matrix<Real>& dqkv, const Matrix<Real>& qkv, const Matrix<Real>& rstd,
                        const std::vector<int32_t>& positions, const Matrix<Real>& table, const HeadShape& shape) {
    const int64_t D = shape.head_width;
    for (int64_t n = 0; n < qkv.rows; n++) {
        for (int64_t head = 0; head < shape.heads + shape.kv_heads; head++) {
            Real* g = &dqkv(n, head * D);
            std::vector<Real> h(&qkv(n, head * D), &qkv(n, head * D) + D);
            if (shape.rotate) {
                rotate(g, &table(positions[n], 0), D, Real(-1));
                rotate(h.data(), &table(positions[n], 0), D, Real(-1));
            }
            if (!shape.normalize) continue;
            Real mean_gh = 0;
            for (int64_t d = 0; d < D; d++) mean_gh += g[d] * h[d] / Real(D);
            for (int64_t d = 0; d < D; d++) g[d] = rstd(n, head) * (g[d] - h[d] * mean_gh);
        }
    }
}

}  // namespace dllm::reference
