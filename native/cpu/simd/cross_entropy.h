// Weighted cross-entropy of one row, its gradient in place of the logits.
#pragma once

#include "softmax.h"

namespace dllm::simd {

// logits become weight (softmax - one-hot of target); returns weight * nll.
template <class Isa>
double cross_entropy(float* logits, int64_t columns, int32_t target, float weight) {
    if (weight == 0) {
        __builtin_memset(logits, 0, size_t(columns) * sizeof(float));
        return 0;
    }
    const float largest = row_largest<Isa>(logits, columns);
    const double target_logit = double(logits[target]) - double(largest);
    const double sum = exponential_sum<Isa>(
        logits, columns, largest, [&](int64_t c, auto part, typename Isa::Float e) { part.store(logits + c, e); });
    const typename Isa::Float factor = splat<Isa>(float(double(weight) / sum));
    sweep<Isa>(columns, [&](int64_t c, auto part) { part.store(logits + c, part.load(logits + c) * factor); });
    logits[target] -= weight;
    return double(weight) * (__builtin_log(sum) - target_logit);
}

}  // namespace dllm::simd
