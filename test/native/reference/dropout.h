// Reference loops: dropout, one draw at a time.
#pragma once

#include "backend.h"
#include "matrix.h"
#include "rng.h"

namespace dllm::reference {

// out = residual + x / (1 - p) where kept
template <typename Real>
void dropout(Matrix<Real>& out, const Matrix<Real>& x, const Matrix<Real>& residual, const DropoutDraw& draw) {
    for (int64_t n = 0; n < out.rows; n++) {
        const PhiloxKey key = philox_key(draw.seed, uint64_t(draw.first_sequence + n / draw.length));
        for (int64_t c = 0; c < out.cols; c++) {
            const uint32_t bits = random_bits(key, Stream::dropout, draw.place, uint32_t(n % draw.length), uint32_t(c));
            const bool kept = bits >= dropout_threshold(draw.probability);
            const Real value = kept ? x(n, c) / (Real(1) - Real(draw.probability)) : Real(0);
            out(n, c) = value + (residual ? residual(n, c) : Real(0));
        }
    }
}

}  // namespace dllm::reference
