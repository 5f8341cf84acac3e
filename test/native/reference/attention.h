// Reference loops: attention over a dense table of open entries, and what each kind of attention opens.
#pragma once

#include "attention_mask.h"
#include "matrix.h"
#include "rng.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dllm::reference {

struct AttentionSize {
    int64_t batch, query_length, key_length, query_offset;
    int64_t heads, kv_heads, head_width;
};

// May position q of a sequence of T positions attend to position k?
inline bool may_attend(const AttentionSpec& spec, int64_t b, int64_t q, int64_t k, int64_t T) {
    switch (spec.kind) {
        case AttentionKind::full: return true;
        case AttentionKind::causal: return k <= q;
        case AttentionKind::annealed:
            return k <= q || uniform(random_bits(philox_key(spec.seed, 0), Stream::annealed, uint32_t(spec.step),
                                                 uint32_t(q), uint32_t(k))) < spec.open_probability;
        case AttentionKind::block_causal: return q / spec.block_length >= k / spec.block_length;
        case AttentionKind::block_diffusion: {
            const bool q_clean = q >= T / 2, k_clean = k >= T / 2;
            const int64_t q_block = q % (T / 2) / spec.block_length, k_block = k % (T / 2) / spec.block_length;
            if (!q_clean && !k_clean) return q_block == k_block;
            if (!q_clean && k_clean) return q_block > k_block;
            return q_clean && k_clean && q_block >= k_block;
        }
        case AttentionKind::explicit_mask: {
            const bool shared = int64_t(spec.mask.size()) == T * T;
            return spec.mask[((shared ? 0 : b) * T + q) * T + k] == 1;
        }
    }
    return false;
}

// open (B Tq, Tk): 1 where query i of sequence b attends to key j; lengths may be empty, meaning all key_length
inline Matrix<uint8_t> open_entries(const AttentionSpec& spec, const AttentionSize& size,
                                    const std::vector<int32_t>& lengths) {
    Matrix<uint8_t> open(size.batch * size.query_length, size.key_length);
    for (int64_t b = 0; b < size.batch; b++) {
        const int64_t length = lengths.empty() ? size.key_length : lengths[b];
        for (int64_t i = 0; i < size.query_length; i++) {
            const int64_t q = size.query_offset + i;
            for (int64_t k = 0; k < size.key_length; k++) {
                const bool inside = q < length && k < length;
                open(b * size.query_length + i, k) = inside && may_attend(spec, b, q, k, size.key_length);
            }
        }
    }
    return open;
}

// One query row of one head: its index in q, and the key/value rows and columns it reads.
struct QueryRow {
    int64_t row, key_row, head, col, kv_col;
};

template <typename Function>
void for_each_query(const AttentionSize& size, Function&& function) {
    for (int64_t b = 0; b < size.batch; b++) {
        for (int64_t h = 0; h < size.heads; h++) {
            const int64_t kv_head = h / (size.heads / size.kv_heads);
            for (int64_t i = 0; i < size.query_length; i++) {
                function(QueryRow{b * size.query_length + i, b * size.key_length, b * size.heads + h,
                                  h * size.head_width, kv_head * size.head_width});
            }
        }
    }
}

template <typename Real>
Real score(const Matrix<Real>& q, const Matrix<Real>& k, const QueryRow& at, int64_t j, int64_t D) {
    Real sum = 0;
    for (int64_t d = 0; d < D; d++) sum += q(at.row, at.col + d) * k(at.key_row + j, at.kv_col + d);
    return sum / std::sqrt(Real(D));
}

// s = q k^T / sqrt(D),  log_sum_exp = log(sum over open j of exp(s)),  out = sum over open j of exp(s - log_sum_exp) v.
// With no open key out is zero, and log_sum_exp is left to the backend: NaN here.
template <typename Real>
void attention_forward(Matrix<Real>& out, Matrix<Real>& log_sum_exp, const Matrix<Real>& q, const Matrix<Real>& k,
                       const Matrix<Real>& v, const Matrix<uint8_t>& open, const AttentionSize& size) {
    const int64_t D = size.head_width;
    std::vector<Real> s(size.key_length);
    for_each_query(size, [&](const QueryRow& at) {
        Real largest = -std::numeric_limits<Real>::infinity(), sum = 0;
        for (int64_t j = 0; j < size.key_length; j++) {
            if (!open(at.row, j)) continue;
            s[j] = score(q, k, at, j, D);
            largest = std::max(largest, s[j]);
        }
        for (int64_t d = 0; d < D; d++) out(at.row, at.col + d) = 0;
        for (int64_t j = 0; j < size.key_length; j++) {
            if (!open(at.row, j)) continue;
            const Real weight = std::exp(s[j] - largest);
            sum += weight;
            for (int64_t d = 0; d < D; d++) out(at.row, at.col + d) += weight * v(at.key_row + j, at.kv_col + d);
        }
        for (int64_t d = 0; d < D && sum > 0; d++) out(at.row, at.col + d) /= sum;
        log_sum_exp(at.head, at.row % size.query_length) =
            sum > 0 ? largest + std::log(sum) : std::numeric_limits<Real>::quiet_NaN();
    });
}

// With p = exp(s - log_sum_exp), dp = dout v^T and ds = p * (dp - sum(dout * out)):
// dq = ds k / sqrt(D),  dk = ds^T q / sqrt(D),  dv = p^T dout,  each summed over the query heads that share a key head
template <typename Real>
void attention_backward(Matrix<Real>& dq, Matrix<Real>& dk, Matrix<Real>& dv, const Matrix<Real>& dout,
                        const Matrix<Real>& q, const Matrix<Real>& k, const Matrix<Real>& v, const Matrix<Real>& out,
                        const Matrix<Real>& log_sum_exp, const Matrix<uint8_t>& open, const AttentionSize& size) {
    const int64_t D = size.head_width;
    for (Matrix<Real>* gradient : {&dq, &dk, &dv}) std::fill(gradient->data.begin(), gradient->data.end(), Real(0));
    for_each_query(size, [&](const QueryRow& at) {
        Real dout_out = 0;
        for (int64_t d = 0; d < D; d++) dout_out += dout(at.row, at.col + d) * out(at.row, at.col + d);
        for (int64_t j = 0; j < size.key_length; j++) {
            if (!open(at.row, j)) continue;
            const int64_t key = at.key_row + j;
            const Real p = std::exp(score(q, k, at, j, D) - log_sum_exp(at.head, at.row % size.query_length));
            Real dp = 0;
            for (int64_t d = 0; d < D; d++) dp += dout(at.row, at.col + d) * v(key, at.kv_col + d);
            const Real ds = p * (dp - dout_out) / std::sqrt(Real(D));
            for (int64_t d = 0; d < D; d++) {
                dq(at.row, at.col + d) += ds * k(key, at.kv_col + d);
                dk(key, at.kv_col + d) += ds * q(at.row, at.col + d);
                dv(key, at.kv_col + d) += p * dout(at.row, at.col + d);
            }
        }
    });
}

}  // namespace dllm::reference
