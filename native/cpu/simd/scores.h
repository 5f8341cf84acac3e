// How sure a row of logits is: the probability of a token, the margin of the first over the second, the entropy.
#pragma once

#include "softmax.h"

namespace dllm::simd {

// Probability of a token under the softmax of the row.
template <class Isa>
float softmax_at(const float* logits, int64_t columns, int32_t token) {
    const float largest = row_largest<Isa>(logits, columns);
    const double sum = exponential_sum<Isa>(logits, columns, largest, [](int64_t, auto, typename Isa::Float) {});
    return float(double(exp<Isa>(splat<Isa>(logits[token] - largest))[0]) / sum);
}

// The second largest probability is 0 where there is only one token.
template <class Isa>
float margin(const float* logits, int64_t columns) {
    using Float = typename Isa::Float;
    Float firsts = splat<Isa>(-__builtin_inff()), seconds = firsts;  // of each lane
    sweep<Isa>(columns, [&](int64_t c, auto part) {
        const Float x = part.load(logits + c, -__builtin_inff());
        seconds = Isa::larger(seconds, Isa::smaller(firsts, x));
        firsts = Isa::larger(firsts, x);
    });
    const float first = Isa::largest(firsts);
    float second = -__builtin_inff();
    bool found = false;
    for (int lane = 0; lane < Isa::WIDTH; lane++) {
        const bool is_first = !found && firsts[lane] == first;
        const float candidate = is_first ? seconds[lane] : firsts[lane];
        second = candidate > second ? candidate : second;
        found = found || is_first;
    }
    const double sum = exponential_sum<Isa>(logits, columns, first, [](int64_t, auto, Float) {});
    return float((1.0 - double(exp<Isa>(splat<Isa>(second - first))[0])) / sum);
}

// Sum of p log p = sum of e d / sum of e - log(sum of e)  with  d = logit - largest, e = e^d
template <class Isa>
float negative_entropy(const float* logits, int64_t columns) {
    using Float = typename Isa::Float;
    const Float largest = splat<Isa>(row_largest<Isa>(logits, columns));
    const Float least = splat<Isa>(-100.0f);  // its exponential is 0; minus infinity times 0 would be NaN
    double sum = 0, weighted = 0;
    for (int64_t begin = 0; begin < columns; begin += SUM_BLOCK) {
        Float block_sum{}, block_weighted{};
        sweep<Isa>(begin + SUM_BLOCK < columns ? SUM_BLOCK : columns - begin, [&](int64_t c, auto part) {
            const Float d = Isa::larger(part.load(logits + begin + c, -__builtin_inff()) - largest, least);
            const Float e = exp<Isa>(d);
            block_sum += e;
            block_weighted = Isa::fma(e, d, block_weighted);
        });
        sum += double(Isa::sum(block_sum));
        weighted += double(Isa::sum(block_weighted));
    }
    return float(weighted / sum - __builtin_log(sum));
}

}  // namespace dllm::simd
