// Reference loops: dropout, one draw at a time.
#pragma once

#include "backend.h"
#include "matrix.h"
#include "rng.h"

#include <vector>

namespace dllm::reference {

// out = residual + x / (1 - p) where kept. seed, rows: what draw.seed and draw.rows hold; no rows: row n is n.
template <typename Real>
void dropout(Matrix<Real>& out, const Matrix<Real>& x, const Matrix<Real>& residual, const std::vector<int32_t>& seed,
             const std::vector<int32_t>& rows, const DropoutDraw& draw) {
    const uint64_t step_seed = uint64_t(uint32_t(seed[1])) << 32 | uint32_t(seed[0]);
    for (int64_t n = 0; n < out.rows; n++) {
        const int64_t row = rows.empty() ? n : rows[size_t(n)];
        const PhiloxKey key = philox_key(step_seed, uint64_t(seed[2] + row / draw.length));
        for (int64_t c = 0; c < out.cols; c++) {
            const uint32_t bits =
                random_bits(key, Stream::dropout, draw.place, uint32_t(row % draw.length), uint32_t(c));
            const bool kept = bits >= dropout_threshold(draw.probability);
            const Real value = kept ? x(n, c) / (Real(1) - Real(draw.probability)) : Real(0);
            out(n, c) = value + (residual ? residual(n, c) : Real(0));
        }
    }
}

}  // namespace dllm::reference
