// The softmax of one row of logits: its maximum and the sum of its exponentials.
#pragma once

#include "math.h"

namespace dllm::simd {

constexpr int64_t SUM_BLOCK = 2048;  // columns summed in float32 before they join a double

template <class Isa>
[[gnu::always_inline]] inline float row_largest(const float* x, int64_t columns) {
    typename Isa::Float largest = splat<Isa>(-__builtin_inff());
    sweep<Isa>(columns,
               [&](int64_t c, auto part) { largest = Isa::larger(part.load(x + c, -__builtin_inff()), largest); });
    return Isa::largest(largest);
}

// The sum of e^(x - shift); visit(column, part, exponentials) sees each vector.
template <class Isa, class Visit>
[[gnu::always_inline]] inline double exponential_sum(const float* x, int64_t columns, float shift, const Visit& visit) {
    double total = 0;
    for (int64_t begin = 0; begin < columns; begin += SUM_BLOCK) {
        typename Isa::Float sum{};
        sweep<Isa>(begin + SUM_BLOCK < columns ? SUM_BLOCK : columns - begin, [&](int64_t c, auto part) {
            const auto e = exp<Isa>(part.load(x + begin + c, -__builtin_inff()) - splat<Isa>(shift));
            visit(begin + c, part, e);
            sum += e;
        });
        total += double(Isa::sum(sum));
    }
    return total;
}

}  // namespace dllm::simd
