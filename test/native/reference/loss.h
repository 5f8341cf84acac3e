// Reference loops: the rows that carry a loss, and the weighted cross-entropy on them.
#pragma once

#include "matrix.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dllm::reference {

// out (M, C) = x[rows]
template <typename Real>
void gather_rows(Matrix<Real>& out, const Matrix<Real>& x, const std::vector<int32_t>& rows) {
    for (int64_t m = 0; m < out.rows; m++) {
        for (int64_t c = 0; c < out.cols; c++) out(m, c) = x(rows[m], c);
    }
}

// dx[rows] += dout (M, C)
template <typename Real>
void scatter_rows(Matrix<Real>& dx, const Matrix<Real>& dout, const std::vector<int32_t>& rows) {
    for (int64_t m = 0; m < dout.rows; m++) {
        for (int64_t c = 0; c < dout.cols; c++) dx(rows[m], c) += dout(m, c);
    }
}

// The largest logit of a row, and the sum of exp(logit - largest): softmax and its logarithm without overflow.
template <typename Real>
struct SoftmaxRow {
    Real largest = -std::numeric_limits<Real>::infinity();
    Real sum = 0;

    SoftmaxRow(const Matrix<Real>& logits, int64_t m) {
        for (int64_t v = 0; v < logits.cols; v++) largest = std::max(largest, logits(m, v));
        for (int64_t v = 0; v < logits.cols; v++) sum += std::exp(logits(m, v) - largest);
    }

    Real probability(Real logit) const { return std::exp(logit - largest) / sum; }
    Real nll(Real logit) const { return largest - logit + std::log(sum); }
};

// loss += sum over m of weight * nll(target);  logits become weight * (softmax - one_hot(target))
template <typename Real>
void cross_entropy(Matrix<Real>& loss, Matrix<Real>& logits, const std::vector<int32_t>& targets,
                   const Matrix<Real>& weights) {
    for (int64_t m = 0; m < logits.rows; m++) {
        const SoftmaxRow<Real> softmax(logits, m);
        loss(0, 0) += weights(0, m) * softmax.nll(logits(m, targets[m]));
        for (int64_t v = 0; v < logits.cols; v++) {
            const Real is_target = v == targets[m] ? Real(1) : Real(0);
            logits(m, v) = weights(0, m) * (softmax.probability(logits(m, v)) - is_target);
        }
    }
}

}  // namespace dllm::reference
