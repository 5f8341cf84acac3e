// The token of one row of logits: its largest entry, with or without Gumbel noise, and its probability.
#pragma once

#include "noise.h"
#include "softmax.h"

namespace dllm::simd {

// The running winner of each lane; the lowest id wins a tie because ids only grow.
template <class Isa>
struct Winner {
    typename Isa::Float best = splat<Isa>(-__builtin_inff());
    typename Isa::Int id = splat_int<Isa>(-1);

    [[gnu::always_inline]] void offer(int64_t first_id, typename Isa::Float scores, int32_t banned) {
        const typename Isa::Int ids = iota<Isa>() + splat_int<Isa>(int32_t(first_id));
        const typename Isa::Float allowed = ids == splat_int<Isa>(banned) ? splat<Isa>(-__builtin_inff()) : scores;
        const auto better = allowed > best;
        best = better ? allowed : best;
        id = better ? ids : id;
    }

    // The lowest id that is not banned where no score is above minus infinity.
    [[gnu::always_inline]] int32_t result(int64_t columns, int32_t banned) const {
        int32_t winner = -1;
        float score = 0;
        for (int lane = 0; lane < Isa::WIDTH; lane++) {
            if (id[lane] < 0) continue;
            if (winner < 0 || best[lane] > score || (best[lane] == score && id[lane] < winner)) {
                winner = id[lane];
                score = best[lane];
            }
        }
        if (winner >= 0) return winner;
        return banned == 0 && columns > 1 ? 1 : 0;
    }
};

template <class Isa>
int32_t argmax(const float* logits, int64_t columns, int32_t banned) {
    Winner<Isa> winner;
    sweep<Isa>(columns,
               [&](int64_t c, auto part) { winner.offer(c, part.load(logits + c, -__builtin_inff()), banned); });
    return winner.result(columns, banned);
}

// (0, 1), as open_uniform of rng.h
template <class Isa>
[[gnu::always_inline]] inline typename Isa::Float open_uniform(typename Isa::Uint bits) {
    using Float = typename Isa::Float;
    const Float v = (__builtin_convertvector(bits, Float) + splat<Isa>(0.5f)) * splat<Isa>(0x1p-32f);
    return v < splat<Isa>(1.0f) ? v : splat<Isa>(0x1.fffffep-1f);
}

// gumbel of rng.h, operation by operation, of its open_uniform
template <class Isa>
[[gnu::always_inline]] inline typename Isa::Float gumbel(typename Isa::Float v) {
    using Float = typename Isa::Float;
    const Float one = splat<Isa>(1.0f);
    const Float u = one - v;
    const Float exponential = u == one ? v : -log<Isa>(u) * (v / (one - u));
    return -log<Isa>(exponential);
}

// Noise of v is never above -log v, so a token can only win where v < e^(logit / temperature - best). Most fail that
// test, which costs far less than their noise would. The slack covers the test's own rounding.
template <class Isa>
[[gnu::always_inline]] inline bool any_may_win(typename Isa::Float logits, typename Isa::Float v, float best,
                                               float inverse_temperature) {
    using Float = typename Isa::Float;
    const Float score = logits * splat<Isa>(inverse_temperature);
    const Float size = score < Float{} ? -score : score;
    const Float slack = Isa::fma(size, splat<Isa>(1e-6f), splat<Isa>(0.01f));
    return Isa::any(~(v >= exp<Isa>(score - splat<Isa>(best) + slack)));  // NaN passes
}

template <class Isa>
int32_t noisy_argmax(const float* logits, int64_t columns, int32_t banned, float temperature, const NoiseKey& noise) {
    using Float = typename Isa::Float;
    Winner<Isa> winner;
    float best = -__builtin_inff();
    alignas(64) uint32_t bits[NOISE_BLOCK];
    for (int64_t begin = 0; begin < columns; begin += NOISE_BLOCK) {
        const int64_t count = begin + NOISE_BLOCK < columns ? NOISE_BLOCK : columns - begin;
        noise_bits<Isa>(bits, begin, count, noise);
        sweep<Isa>(count, [&](int64_t c, auto part) {
            typename Isa::Uint vector;
            __builtin_memcpy(&vector, bits + c, sizeof vector);
            const Float v = open_uniform<Isa>(vector), x = part.load(logits + begin + c, -__builtin_inff());
            if (!any_may_win<Isa>(x, v, best, 1.0f / temperature)) return;
            winner.offer(begin + c, x / splat<Isa>(temperature) + gumbel<Isa>(v), banned);
            best = Isa::largest(winner.best);
        });
    }
    return winner.result(columns, banned);
}

// What top-k and top-p ask of a winner: see TokensAhead.
template <class Isa>
TokensAhead tokens_ahead(float* ahead, const float* logits, int64_t columns, int32_t token, int32_t banned,
                         float temperature) {
    using Float = typename Isa::Float;
    using Int = typename Isa::Int;
    // The noise of a winner lifts it over logits / temperature that are at most 27 larger: no exponential overflows.
    const Float own = splat<Isa>(logits[token]);
    Int count{};
    double mass = 0, total = 0;
    for (int64_t begin = 0; begin < columns; begin += SUM_BLOCK) {
        Float block_mass{}, block_total{};
        sweep<Isa>(begin + SUM_BLOCK < columns ? SUM_BLOCK : columns - begin, [&](int64_t offset, auto part) {
            const int64_t c = begin + offset;
            const Float x = part.load(logits + c, -__builtin_inff());
            const Int ids = iota<Isa>() + splat_int<Isa>(int32_t(c));
            const Int allowed = ids != splat_int<Isa>(banned);
            const Int before = ids < splat_int<Isa>(token);
            const Int is_ahead = ((x > own) | ((x == own) & before)) & allowed;
            const Float e = exp<Isa>((x - own) / splat<Isa>(temperature));
            block_total += allowed ? e : Float{};
            block_mass += is_ahead ? e : Float{};
            count -= is_ahead;  // true is -1
            part.store(ahead + c, is_ahead ? x : splat<Isa>(-__builtin_inff()));
        });
        mass += double(Isa::sum(block_mass));
        total += double(Isa::sum(block_total));
    }
    int64_t all = 0;
    for (int lane = 0; lane < Isa::WIDTH; lane++) all += count[lane];
    return {all, mass, total};
}

}  // namespace dllm::simd
