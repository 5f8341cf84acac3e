// Reference loops: the global gradient norm, AdamW and the moving average of the weights.
#pragma once

#include "backend.h"
#include "matrix.h"

#include <algorithm>
#include <cmath>

namespace dllm::reference {

// out = sqrt(sum of squares of x)
template <typename Real>
void global_norm(Matrix<Real>& out, const Matrix<Real>& x) {
    Real square_sum = 0;
    for (const Real value : x.data) square_sum += value * value;
    out(0, 0) = std::sqrt(square_sum);
}

template <typename Real>
bool all_finite(const Matrix<Real>& stats) {
    return std::all_of(stats.data.begin(), stats.data.end(), [](Real value) { return std::isfinite(value); });
}

// Nothing unless all stats are finite; else g = gradient * min(1, clip / (norm + 1e-6)),  m = beta1 m + (1 - beta1) g,
// v = beta2 v + (1 - beta2) g^2, w = w - lr * decay * w - lr * (m / correction1) / (sqrt(v / correction2) + epsilon)
template <typename Real>
void adamw(Matrix<Real>& weights, Matrix<Real>& first_moment, Matrix<Real>& second_moment,
           const Matrix<Real>& gradients, const Matrix<Real>& stats, const Matrix<Real>& schedule,
           const AdamWConstants& constants) {
    if (!all_finite(stats)) return;
    const Real norm = stats(0, Stats::gradient_norm), rate = schedule(0, Schedule::learning_rate);
    const Real correction1 = schedule(0, Schedule::bias_correction1);
    const Real correction2 = schedule(0, Schedule::bias_correction2);
    const Real clip = Real(constants.gradient_clip);
    const Real beta1 = Real(constants.beta1), beta2 = Real(constants.beta2);
    const Real scale = clip > 0 ? std::min(Real(1), clip / (norm + Real(1e-6))) : Real(1);
    for (size_t i = 0; i < weights.data.size(); i++) {
        const Real g = gradients.data[i] * scale;
        Real &w = weights.data[i], &m = first_moment.data[i], &v = second_moment.data[i];
        m = beta1 * m + (Real(1) - beta1) * g;
        v = beta2 * v + (Real(1) - beta2) * g * g;
        const Real denominator = std::sqrt(v / correction2) + Real(constants.epsilon);
        w = w - rate * Real(constants.weight_decay) * w - rate * (m / correction1) / denominator;
    }
}

// out += rest * (x - out), unless one of the stats is not finite
template <typename Real>
void moving_average(Matrix<Real>& out, const Matrix<Real>& x, const Matrix<Real>& stats, const Matrix<Real>& schedule) {
    if (!all_finite(stats)) return;
    const Real rest = schedule(0, Schedule::average_rest);
    for (size_t i = 0; i < out.data.size(); i++) out.data[i] += rest * (x.data[i] - out.data[i]);
}

}  // namespace dllm::reference
