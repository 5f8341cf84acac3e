// Reference loops: token and position embedding.
#pragma once

#include "matrix.h"

namespace dllm::reference {

// out (N, C) = token_table[tokens] + position_table[positions]
template <typename Real>
void embedding_forward(Matrix<Real>& out, const std::vector<int32_t>& tokens, const std::vector<int32_t>& positions,
                       const Matrix<Real>& token_table, const Matrix<Real>& position_table) {
    for (int64_t n = 0; n < out.rows; n++) {
        for (int64_t c = 0; c < out.cols; c++) {
            out(n, c) = token_table(tokens[n], c);
            if (position_table) out(n, c) += position_table(positions[n], c);
        }
    }
}

// dtoken_table[tokens] += dout,  dposition_table[positions] += dout
template <typename Real>
void embedding_backward(Matrix<Real>& dtoken_table, Matrix<Real>& dposition_table, const Matrix<Real>& dout,
                        const std::vector<int32_t>& tokens, const std::vector<int32_t>& positions) {
    for (int64_t n = 0; n < dout.rows; n++) {
        for (int64_t c = 0; c < dout.cols; c++) {
            dtoken_table(tokens[n], c) += dout(n, c);
            if (dposition_table) dposition_table(positions[n], c) += dout(n, c);
        }
    }
}

}  // namespace dllm::reference
