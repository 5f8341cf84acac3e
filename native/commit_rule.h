// Which of a block's predictions a step commits: the same comparisons on host and device.
#pragma once

#include "config.h"
#include "rng.h"

#include <cmath>
#include <cstdint>

namespace dllm {

// A score in steps of 2^-16: rounding noise of the forward pass then decides no choice. NaN is the least.
DLLM_HOST_DEVICE inline int32_t rounded_score(float score) {
    constexpr float MOST = 1e9f;
    const float steps = nearbyintf(score * 0x1p16f);
    if (!(steps > -MOST)) return -int32_t(MOST);
    return steps < MOST ? int32_t(steps) : int32_t(MOST);
}

// `rank`: how many predictions of the request come before this one. `count`: of the plan. Where a prediction is
// committed, so are all before it.
DLLM_HOST_DEVICE inline bool is_committed(const CommitRule& rule, int64_t rank, int32_t score, int64_t count) {
    if (rule.kind == CommitKind::count) return rank < count;
    const float least = rule.kind == CommitKind::threshold ? rule.value : 1.0f - rule.value / float(rank + 2);
    return rank == 0 || score >= rounded_score(least);
}

}  // namespace dllm
