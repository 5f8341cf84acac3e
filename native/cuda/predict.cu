// Predicting the token of each masked position, with its confidence and its score, in one read of the logits; top-k and
// top-p need at least one more.
#include "../sampling_check.h"
#include "backend.h"
#include "predict_scores.h"
#include "softmax.h"

#include <limits>

namespace dllm::cuda {
namespace {

constexpr int32_t NO_TOKEN = std::numeric_limits<int32_t>::max();

// The largest score so far and its token; the lowest id wins a tie.
struct Winner {
    float score = -INFINITY;
    int32_t token = NO_TOKEN;  // as long as nothing was above minus infinity

    // Tokens come in the order of their ids.
    __device__ void offer(float other_score, int64_t other_token) {
        if (other_score > score) score = other_score, token = int32_t(other_token);
    }

    __device__ void merge(const Winner& other) {
        if (other.score > score || (other.score == score && other.token < token)) *this = other;
    }

    __device__ Winner exchange(int lanes) const { return {shuffle_xor(score, lanes), shuffle_xor(token, lanes)}; }

    // The lowest id that is not banned where no score is above minus infinity.
    __device__ int32_t result(int32_t banned, int64_t columns) const {
        if (token != NO_TOKEN) return token;
        return banned == 0 && columns > 1 ? 1 : 0;
    }
};

// A token's place in the order by logits, the lower id first among equals.
struct Place {
    float logit = -INFINITY;
    int64_t token = NO_TOKEN;  // behind all others

    __device__ bool is_behind(float other_logit, int64_t other_token) const {
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

// The Gumbel noise of one row.
struct Noise {
    RequestDraw draw;
    float temperature;
    float inverse_temperature;

    // Of four tokens, the first a multiple of 4
    __device__ PhiloxBlock bits(int64_t first) const {
        return philox(draw.key, {{uint32_t(first / 4), draw.position, draw.step, uint32_t(Stream::token_noise)}});
    }

    __device__ float score(float logit, int64_t token) const {
        const PhiloxBlock block = bits(token / 4 * 4);
        const uint32_t low = token % 2 == 0 ? block.words[0] : block.words[1];
        const uint32_t high = token % 2 == 0 ? block.words[2] : block.words[3];
        return logit / temperature + gumbel(token % 4 < 2 ? low : high);
    }

    // Which of the tokens from `first` on may have a score of at least `bound`, a bit each. Noise of v is never above
    // -log v, so only those where v < e^(logit / temperature - bound) can; the slack covers the test's own rounding.
    // That is far cheaper than the noise, and cheaper yet where no v at all could be small enough.
    template <int N>
    __device__ unsigned candidates(const float (&logits)[N], int64_t first, float bound) const {
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

// The unbanned token of largest score, of this thread's part of the row. see(x) is shown every pack.
template <class T, class See>
__device__ Winner most_probable(const PackedRow<const T>& row, int32_t banned, const See& see) {
    constexpr int WIDTH = PACK<T>;
    Winner winner;
    uint4 next = row.load(threadIdx.x);
    // All threads of a row go on to its end: past it they find minus infinities.
    for (int64_t begin = 0; begin < row.packs(); begin += blockDim.x) {
        const int64_t first = (begin + threadIdx.x) * WIDTH;
        float x[WIDTH];
        unpack<T>(x, next);
        next = row.load(begin + blockDim.x + threadIdx.x);
        see(x);
        for (int i = 0; i < WIDTH; i++)
            if (first + i != banned) winner.offer(x[i], first + i);
    }
    return winner;
}

// The same with noise, of the tokens ahead of `limit`.
template <class T, class See>
__device__ Winner drawn(const PackedRow<const T>& row, int32_t banned, const Noise& noise, const Place& limit,
                        const See& see) {
    constexpr int WIDTH = PACK<T>;
    Winner winner;
    const auto offer = [&](int64_t token) {
        const float logit = to_float(row.data[token]);
        if (token != banned && limit.is_behind(logit, token)) winner.offer(noise.score(logit, token), token);
    };
    // One token of each lane, for a bound to begin with
    if (int64_t(threadIdx.x) * WIDTH < row.columns) offer(int64_t(threadIdx.x) * WIDTH);
    float bound = warp_max(winner.score);  // the warp's largest score
    uint4 next = row.load(threadIdx.x);
    for (int64_t begin = 0; begin < row.packs(); begin += blockDim.x) {
        const int64_t first = (begin + threadIdx.x) * WIDTH;
        float x[WIDTH];
        unpack<T>(x, next);
        next = row.load(begin + blockDim.x + threadIdx.x);
        see(x);
        unsigned candidates = noise.candidates(x, first, bound);
        if (!any(candidates != 0)) continue;
        do {
            if (candidates != 0) {
                offer(first + __ffs(int(candidates)) - 1);
                candidates &= candidates - 1;
            }
        } while (any(candidates != 0));
        bound = warp_max(winner.score);
    }
    return winner;
}

template <class T>
__device__ TokensAhead tokens_ahead(const PackedRow<const T>& row, int32_t banned, float temperature,
                                    const Place& place) {
    constexpr int WIDTH = PACK<T>;
    TokensAhead ahead;
    for (int64_t pack = threadIdx.x; pack < row.packs(); pack += blockDim.x) {
        float x[WIDTH];
        unpack<T>(x, row.load(pack));
        for (int i = 0; i < WIDTH; i++) {
            if (pack * WIDTH + i == banned) continue;
            // A winner's noise lifts it over logits / temperature that are at most 27 larger: no overflow.
            const float probability = fast_exp2((x[i] - place.logit) / temperature * LOG2_E);
            ahead.total += probability;
            if (!place.is_behind(x[i], pack * WIDTH + i)) continue;
            ahead.mass += probability;
            ahead.count++;
        }
    }
    return ahead;
}

struct Choice {
    float temperature;
    int32_t banned;
    int64_t top_k;  // the number of tokens or more: off
    float top_p;

    __device__ bool is_from_all(int64_t columns) const { return top_k >= columns && top_p == 1; }
    __device__ bool allows(const TokensAhead& ahead) const {
        const bool in_nucleus = top_p == 1 || ahead.mass < top_p * ahead.total;
        return ahead.count == 0 || (ahead.count < top_k && in_nucleus);
    }
};

// tokens, confidence, score (rows) of logits (rows, columns), rows being those of `row_indices`
template <class T, class Score>
__global__ void __launch_bounds__(MOST_ROW_THREADS, 2)
    predict_rows(int32_t* tokens, float* confidence, float* scores, Rows<const T> logits, const int32_t* row_indices,
                 const RequestPlan* plan, int64_t length, int64_t rows, int64_t columns, Choice choice) {
    constexpr int WARPS = MOST_ROW_THREADS / WARP_SIZE;
    auto* const partial_scores = shared_memory<Score>();                                  // (warps)
    auto* const partial_winners = reinterpret_cast<Winner*>(partial_scores + WARPS);      // (warps)
    auto* const partial_ahead = reinterpret_cast<TokensAhead*>(partial_winners + WARPS);  // (warps)
    const int64_t m = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
    if (m >= rows) return;  // a block of several rows has no barrier
    const PackedRow<const T> row(logits.row(m), columns);
    const Noise noise{draw_of(plan, row_indices[m], length), choice.temperature, 1.0f / choice.temperature};

    Score score;
    Winner winner;
    const auto add = [&](const auto& x) { score.add(x); };
    if (choice.temperature == 0) {
        winner = merge_row(most_probable(row, choice.banned, add), partial_winners);
    } else {
        winner = merge_row(drawn(row, choice.banned, noise, Place{}, add), partial_winners);
        // The tokens to draw from are those ahead of some place: a draw that is not among them rules out itself and
        // all behind it. A token's noise stays the same, so what comes out is the winner among those to draw from.
        while (!choice.is_from_all(columns) && winner.token != NO_TOKEN) {
            const Place place{to_float(row.data[winner.token]), winner.token};
            const TokensAhead ahead =
                merge_row(tokens_ahead(row, choice.banned, choice.temperature, place), partial_ahead);
            if (choice.allows(ahead)) break;
            winner = merge_row(drawn(row, choice.banned, noise, place, [](const auto&) {}), partial_winners);
        }
    }
    score = merge_row(score, partial_scores);
    if (threadIdx.x != 0) return;
    const int32_t token = winner.result(choice.banned, columns);
    tokens[m] = token;
    const float probability = score.softmax.probability(to_float(row.data[token]));
    confidence[m] = probability;
    scores[m] = score.result(probability, noise.draw);
}

template <class T, class Score>
void predict(const Predictions& out, Tensor logits, Tensor plan, int64_t length, const Choice& choice,
             cudaStream_t stream) {
    const dim3 block = row_block(logits);
    constexpr size_t PARTIALS = MOST_ROW_THREADS / WARP_SIZE * (sizeof(Score) + sizeof(Winner) + sizeof(TokensAhead));
    check(launch(predict_rows<T, Score>, row_grid(logits, block), block, PARTIALS, stream, out.tokens.i32(),
                 out.confidence.f32(), out.score.f32(), rows_of<const T>(logits), out.rows.i32(),
                 static_cast<const RequestPlan*>(plan.data), length, logits.rows, logits.cols, choice),
          "predict_rows");
}

}  // namespace

void CudaBackend::predict_tokens(const Predictions& out, Tensor logits, Tensor plan, int64_t length,
                                 const PredictOptions& options) {
    const SamplingCheck op("predict_tokens");
    const int64_t M = logits.rows, V = logits.cols;
    op.predictions(out, M);
    op.shape("logits", logits, M, V, compute_);
    op.plan(plan);
    op.options(options);
    if (M == 0) return;
    op.that(V > 0, "logits must have columns");
    const Choice choice{options.temperature, options.banned_token, options.top_k == 0 ? V : options.top_k,
                        options.top_p};
    dispatch(compute_, [&](auto element) {
        using T = decltype(element);
        const cudaStream_t stream = context_.stream();
        switch (options.score) {
            case Remasking::low_confidence:
                return predict<T, ConfidenceScore>(out, logits, plan, length, choice, stream);
            case Remasking::random: return predict<T, RandomScore>(out, logits, plan, length, choice, stream);
            case Remasking::margin: return predict<T, MarginScore>(out, logits, plan, length, choice, stream);
            case Remasking::entropy: return predict<T, EntropyScore>(out, logits, plan, length, choice, stream);
        }
    });
}

}  // namespace dllm::cuda
