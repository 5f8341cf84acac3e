// Reference loops: the token chosen at a masked position, and the model's confidence in it.
#pragma once

#include "backend.h"
#include "loss.h"
#include "matrix.h"
#include "rng.h"

#include <cmath>

namespace dllm::reference {

// The unbanned v of largest logit / temperature + Gumbel noise, at temperature 0 of largest logit; ties to the lowest
// id
template <typename Real>
int32_t predict_token(const Matrix<Real>& logits, int64_t m, const DrawKey& draw, const PredictOptions& options) {
    int32_t best = -1;
    Real best_score = 0;
    for (int32_t v = 0; v < logits.cols; v++) {
        if (v == options.banned_token) continue;
        Real score = logits(m, v);
        if (options.temperature > 0) {
            const uint32_t bits = random_bits(draw.key, Stream::token_noise, draw.step, draw.position, uint32_t(v));
            score = score / Real(options.temperature) + Real(gumbel(bits));
        }
        if (best < 0 || score > best_score) {
            best = v;
            best_score = score;
        }
    }
    return best;
}

// softmax(logits)[token], the mask token included
template <typename Real>
Real token_confidence(const Matrix<Real>& logits, int64_t m, int32_t token) {
    return SoftmaxRow<Real>(logits, m).probability(logits(m, token));
}

}  // namespace dllm::reference
