// Reference loops: the token chosen at a masked position, the model's confidence in it, and the position's score.
#pragma once

#include "backend.h"
#include "loss.h"
#include "matrix.h"
#include "rng.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace dllm::reference {

// One masked position whose token is being predicted: where its random numbers come from.
struct Draw {
    PhiloxKey key;
    uint32_t position;
    uint32_t step;
};

inline Draw draw_of(const std::vector<RequestPlan>& plan, int32_t row, int64_t length) {
    const RequestPlan& request = plan[row / length];
    return {request.key, uint32_t(row % length), uint32_t(request.step)};
}

// Whether each token is one to draw from: in front of the order by probability, the lower id first among equals.
template <typename Real>
std::vector<bool> tokens_to_draw_from(const Matrix<Real>& logits, int64_t m, const PredictOptions& options) {
    std::vector<int32_t> order(logits.cols);
    std::iota(order.begin(), order.end(), 0);
    std::erase(order, options.banned_token);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logits(m, a) > logits(m, b); });
    std::vector<double> weights;
    for (const int32_t v : order)
        weights.push_back(std::exp((double(logits(m, v)) - double(logits(m, order[0]))) / options.temperature));
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<bool> chosen(logits.cols, false);
    double before = 0;
    for (size_t rank = 0; rank < order.size(); rank++) {
        const bool in_top_k = options.top_k == 0 || int64_t(rank) < options.top_k;
        const bool in_nucleus = rank == 0 || options.top_p == 1 || before < double(options.top_p) * total;
        if (in_top_k && in_nucleus) chosen[order[rank]] = true;
        before += weights[rank];
    }
    return chosen;
}

// The v to draw from of largest logit / temperature + Gumbel noise, at temperature 0 the unbanned v of largest logit;
// ties to the lowest id
template <typename Real>
int32_t predict_token(const Matrix<Real>& logits, int64_t m, const Draw& draw, const PredictOptions& options) {
    const bool noisy = options.temperature > 0, filtered = noisy && (options.top_k > 0 || options.top_p < 1);
    const std::vector<bool> chosen = filtered ? tokens_to_draw_from(logits, m, options) : std::vector<bool>();
    int32_t best = -1;
    Real best_score = 0;
    for (int32_t v = 0; v < logits.cols; v++) {
        if (v == options.banned_token || (filtered && !chosen[v])) continue;
        Real score = logits(m, v);
        if (noisy) {
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

// The largest probability less the second largest
template <typename Real>
Real margin(const Matrix<Real>& logits, int64_t m) {
    const SoftmaxRow<Real> softmax(logits, m);
    std::vector<Real> probabilities;
    for (int64_t v = 0; v < logits.cols; v++) probabilities.push_back(softmax.probability(logits(m, v)));
    std::sort(probabilities.rbegin(), probabilities.rend());
    return probabilities[0] - (probabilities.size() > 1 ? probabilities[1] : Real(0));
}

// Sum of p log p
template <typename Real>
Real negative_entropy(const Matrix<Real>& logits, int64_t m) {
    const SoftmaxRow<Real> softmax(logits, m);
    Real sum = 0;
    for (int64_t v = 0; v < logits.cols; v++) {
        const Real p = softmax.probability(logits(m, v));
        if (p > 0) sum -= p * softmax.nll(logits(m, v));
    }
    return sum;
}

template <typename Real>
Real token_score(const Matrix<Real>& logits, int64_t m, int32_t token, const Draw& draw, Remasking kind) {
    switch (kind) {
        case Remasking::low_confidence: return token_confidence(logits, m, token);
        case Remasking::margin: return margin(logits, m);
        case Remasking::entropy: return negative_entropy(logits, m);
        case Remasking::random: break;
    }
    return Real(random_bits(draw.key, Stream::remask, draw.step, draw.position, 0) >> 8) / 65536;
}

}  // namespace dllm::reference
