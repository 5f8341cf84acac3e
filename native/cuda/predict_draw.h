// The token of a row that has the largest logit, and a draw: that of the largest logit over temperature plus noise.
#pragma once

#include "predict_filter.h"
#include "predict_scores.h"
#include "reduce.h"

namespace dllm::cuda {

// The largest score so far and its token; the lowest id wins a tie.
struct Winner {
    float score = -INFINITY;
    int32_t token = NO_TOKEN;  // as long as nothing was above minus infinity

    // Tokens come in the order of their ids.
    __device__ void offer(float other_score, int32_t other_token) {
        if (other_score > score) score = other_score, token = other_token;
    }

    // The scores of the tokens from `first` on; seldom is one of them larger than all before.
    template <int N>
    __device__ void offer_all(const float (&scores)[N], int32_t first) {
        float top = scores[0];
        for (int i = 1; i < N; i++) top = fmaxf(top, scores[i]);
        if (!(top > score)) return;
        for (int i = 0; i < N; i++) offer(scores[i], first + i);
    }

    __device__ void merge(const Winner& other) {
        if (other.score > score || (other.score == score && other.token < token)) *this = other;
    }

    __device__ Winner exchange(int lanes) const { return {shuffle_xor(score, lanes), shuffle_xor(token, lanes)}; }

    // The lowest id that is not banned where no score is above minus infinity.
    __device__ int32_t result(int32_t banned, int columns) const {
        if (token != NO_TOKEN) return token;
        return banned == 0 && columns > 1 ? 1 : 0;
    }
};

// The Gumbel noise of one row.
struct Noise {
    RequestDraw draw;
    float temperature;
    float inverse_temperature;

    // Of four tokens, the first a multiple of 4
    __device__ PhiloxBlock bits(int32_t first) const {
        return philox(draw.key, {{uint32_t(first / 4), draw.position, draw.step, uint32_t(Stream::token_noise)}});
    }

    __device__ float score(float logit, int32_t token) const {
        const PhiloxBlock block = bits(token / 4 * 4);
        const uint32_t low = token % 2 == 0 ? block.words[0] : block.words[1];
        const uint32_t high = token % 2 == 0 ? block.words[2] : block.words[3];
        return logit / temperature + gumbel(token % 4 < 2 ? low : high);
    }

    // Which of the tokens from `first` on may have a score of at least `bound`, a bit each. Noise of v is never above
    // -log v, so only those where v < e^(logit / temperature - bound) can; the slack covers the test's own rounding.
    // That is far cheaper than the noise, and cheaper yet where no v at all could be small enough.
    template <int N>
    __device__ unsigned candidates(const float (&logits)[N], int32_t first, float bound) const {
        constexpr float SLACK = 0.01f, SLACK_OF_SIZE = 1e-6f, SMALLEST_V = 0x1p-33f;
        const float offset = (SLACK - bound) * LOG2_E;
        unsigned result = 0;
#pragma unroll
        for (int group = 0; group < N; group += 4) {
            float limits[4];
            bool none = true;
            for (int i = 0; i < 4; i++) {
                const float score = logits[group + i] * inverse_temperature;
                limits[i] = fast_exp2(fmaf(score, LOG2_E, fmaf(fabsf(score), SLACK_OF_SIZE * LOG2_E, offset)));
                none = none && limits[i] <= SMALLEST_V;  // NaN passes
            }
            if (none) continue;
            const PhiloxBlock block = bits(first + group);
            for (int i = 0; i < 4; i++) {
                const bool may_win = !(open_uniform(block.words[i]) >= limits[i]) && logits[group + i] > -INFINITY;
                result |= unsigned(may_win) << (group + i);
            }
        }
        return result;
    }
};

// The unbanned token of largest logit, of this thread's part of the row. see(x) is shown every pack.
template <class T, class See>
__device__ Winner most_probable(const PackedRow<const T>& row, int32_t banned, const See& see) {
    constexpr int WIDTH = PACK<T>;
    Winner winner;
    sweep(
        row.packs(), [&](int pack) { return row.load(pack); },
        [&](int pack, const uint4& bits) {
            const int first = pack * WIDTH;
            float x[WIDTH];
            unpack<T>(x, bits);
            see(x);
            ban(x, first, banned);
            winner.offer_all(x, first);
        });
    return winner;
}

// The same with noise, of the tokens ahead of `limit`.
template <class T, class See>
__device__ Winner drawn(const PackedRow<const T>& row, int32_t banned, const Noise& noise, const Place& limit,
                        const See& see) {
    constexpr int WIDTH = PACK<T>;
    Winner winner;
    const auto offer = [&](int32_t token) {
        const float logit = to_float(row.data[token]);
        if (token != banned && limit.is_behind(logit, token)) winner.offer(noise.score(logit, token), token);
    };
    // One token of each lane, for a bound to begin with
    if (int(threadIdx.x) * WIDTH < row.columns) offer(int(threadIdx.x) * WIDTH);
    float bound = warp_max(winner.score);  // the warp's largest score
    sweep(
        row.packs(), [&](int pack) { return row.load(pack); },
        [&](int pack, const uint4& bits) {
            const int first = pack * WIDTH;
            float x[WIDTH];
            unpack<T>(x, bits);
            see(x);
            unsigned candidates = noise.candidates(x, first, bound);
            if (!any(candidates != 0)) return;
            do {
                if (candidates != 0) {
                    offer(first + __ffs(int(candidates)) - 1);
                    candidates &= candidates - 1;
                }
            } while (any(candidates != 0));
            bound = warp_max(winner.score);
        });
    return winner;
}

}  // namespace dllm::cuda
