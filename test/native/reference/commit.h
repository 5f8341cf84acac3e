// Reference loops: which rows a sampling step predicts, and which predictions it commits.
#pragma once

#include "backend.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace dllm::reference {

struct MaskedRows {
    std::vector<int32_t> rows;   // (M)
    std::vector<int32_t> first;  // (B + 1)
};

inline MaskedRows masked_rows(const std::vector<int32_t>& tokens, const std::vector<RequestPlan>& plan, int64_t M,
                              int32_t mask_token) {
    const int64_t length = plan.empty() ? 0 : int64_t(tokens.size() / plan.size());
    MaskedRows found{{}, {0}};
    for (size_t b = 0; b < plan.size(); b++) {
        for (int64_t t = plan[b].begin; t < plan[b].end; t++) {
            const int64_t row = int64_t(b) * length + t;
            if (tokens[row] == mask_token && int64_t(found.rows.size()) < M) found.rows.push_back(int32_t(row));
        }
        found.first.push_back(int32_t(found.rows.size()));
    }
    found.rows.resize(M, 0);
    return found;
}

// How many of a request's scores are committed, these being in falling order.
inline int64_t committed(const std::vector<double>& falling, const CommitRule& rule, int64_t count) {
    const int64_t n = int64_t(falling.size());
    if (rule.kind == CommitKind::count) return std::min(n, count);
    int64_t most = std::min<int64_t>(n, 1);
    for (int64_t r = 1; r <= n; r++) {
        const double least = rule.kind == CommitKind::threshold ? rule.value : 1 - double(rule.value) / double(r + 1);
        if (std::nearbyint(falling[r - 1] * 65536) >= std::nearbyint(least * 65536)) most = std::max(most, r);
    }
    return most;
}

// The predictions that are committed, as indices into one request's scores, ascending.
inline std::vector<int64_t> commit(const std::vector<float>& scores, const CommitRule& rule, int64_t count) {
    const auto rounded = [&](int64_t i) { return std::nearbyint(double(scores[i]) * 65536); };
    std::vector<int64_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return rounded(a) > rounded(b); });
    std::vector<double> falling;
    for (const int64_t i : order) falling.push_back(scores[i]);
    order.resize(committed(falling, rule, count));
    std::sort(order.begin(), order.end());
    return order;
}

}  // namespace dllm::reference
