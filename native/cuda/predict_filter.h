// Top-k and top-p: which tokens are ahead of the one that was drawn, and whether it may be chosen.
#pragma once

#include "exponential.h"
#include "row_packs.h"

#include <limits>

namespace dllm::cuda {

constexpr int32_t NO_TOKEN = std::numeric_limits<int32_t>::max();

// Takes a token out of the pack of a row that begins with token `first`, if it is there.
template <int N>
__device__ inline void ban(float (&x)[N], int first, int32_t banned) {
    const unsigned place = unsigned(banned) - unsigned(first);
    if (place < N) {
        for (unsigned i = 0; i < N; i++) x[i] = i == place ? -INFINITY : x[i];
    }
}

// A token's place in the order by logits, the lower id first among equals.
struct Place {
    float logit = -INFINITY;
    int32_t token = NO_TOKEN;  // behind all others

    __device__ bool is_behind(float other_logit, int32_t other_token) const {
        return other_logit > logit || (other_logit == logit && other_token < token);
    }
};

// The unbanned tokens ahead of some place. mass: their probabilities at a temperature, total: those of all unbanned
// tokens, both relative to the probability of the token at that place.
struct TokensAhead {
    int32_t count = 0;
    float mass = 0, total = 0;

    __device__ void merge(const TokensAhead& other) {
        count += other.count;
        mass += other.mass;
        total += other.total;
    }

    __device__ TokensAhead exchange(int lanes) const {
        return {shuffle_xor(count, lanes), shuffle_xor(mass, lanes), shuffle_xor(total, lanes)};
    }
};

// Of this thread's part of the row
template <class T>
__device__ TokensAhead tokens_ahead(const PackedRow<const T>& row, int32_t banned, float inverse_temperature,
                                    const Place& place) {
    constexpr int WIDTH = PACK<T>;
    TokensAhead ahead;
    sweep(
        row.packs(), [&](int pack) { return row.load(pack); },
        [&](int pack, const uint4& bits) {
            const int first = pack * WIDTH;
            float x[WIDTH];
            unpack<T>(x, bits);
            ban(x, first, banned);
            for (int i = 0; i < WIDTH; i++) {
                // A winner's noise lifts it over logits / temperature that are at most 27 larger: no overflow.
                const float probability = fast_exp2((x[i] - place.logit) * inverse_temperature * LOG2_E);
                ahead.total += probability;
                if (!place.is_behind(x[i], first + i)) continue;
                ahead.mass += probability;
                ahead.count++;
            }
        });
    return ahead;
}

struct TokenFilter {
    int32_t top_k;  // the number of tokens or more: off
    float top_p;

    __device__ bool is_off(int columns) const { return top_k >= columns && top_p == 1; }
    __device__ bool allows(const TokensAhead& ahead) const {
        const bool in_nucleus = top_p == 1 || ahead.mass < top_p * ahead.total;
        return ahead.count == 0 || (ahead.count < top_k && in_nucleus);
    }
};

}  // namespace dllm::cuda
