// Predicting the token of each masked position, with its confidence, in one read of the logits.
#include "backend.h"
#include "softmax.h"

#include <limits>

namespace dllm::cuda {
namespace {

// The largest score so far and its token; the lowest id wins a tie.
struct Winner {
    float score = -INFINITY;
    int32_t token = std::numeric_limits<int32_t>::max();  // as long as nothing was above minus infinity

    // Tokens come in the order of their ids.
    __device__ void offer(float other_score, int64_t other_token) {
        if (other_score > score) score = other_score, token = int32_t(other_token);
    }

    __device__ void merge(const Winner& other) {
        if (other.score > score || (other.score == score && other.token < token)) *this = other;
    }

    __device__ Winner exchange(int lanes) const { return {shuffle_xor(score, lanes), shuffle_xor(token, lanes)}; }

    // The lowest id that is not banned where no score is above minus infinity.
    __device__ int32_t result(int64_t columns, int32_t banned) const {
        if (token < columns) return token;
        return banned == 0 && columns > 1 ? 1 : 0;
    }
};

// The Gumbel noise of one row.
struct Noise {
    DrawKey draw;
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

// tokens, confidence (rows) of logits (rows, columns). draws (rows) are not read at temperature 0.
template <class T>
__global__ void __launch_bounds__(MOST_ROW_THREADS, 2)
    predict_rows(int32_t* tokens, float* confidence, Rows<const T> logits, const DrawKey* draws, int64_t rows,
                 int64_t columns, float temperature, int32_t banned) {
    constexpr int WIDTH = PACK<T>;
    auto* const partial_sums = shared_memory<SoftmaxSum>();                                           // (warps)
    auto* const partial_winners = reinterpret_cast<Winner*>(partial_sums + MOST_ROW_THREADS / WARP);  // (warps)
    const int64_t m = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
    if (m >= rows) return;  // a block of several rows has no barrier
    const PackedRow<const T> row(logits.row(m), columns);
    const bool noisy = temperature > 0;
    const Noise noise{noisy ? draws[m] : DrawKey{}, temperature, 1.0f / temperature};
    const auto offer_noisy = [&](Winner& winner, int64_t token) {
        if (token != banned) winner.offer(noise.score(to_float(row.data[token]), token), token);
    };

    SoftmaxSum softmax;
    Winner winner;
    float bound = -INFINITY;  // the warp's largest score
    if (noisy) {              // one token of each lane, for a bound to begin with
        const int64_t token = int64_t(threadIdx.x) * WIDTH;
        if (token < columns) offer_noisy(winner, token);
        bound = warp_max(winner.score);
    }
    // All threads of a row go on to its end: past it they find minus infinities.
    uint4 next = row.load(threadIdx.x);
    for (int64_t begin = 0; begin < row.packs(); begin += blockDim.x) {
        const int64_t first = (begin + threadIdx.x) * WIDTH;
        float x[WIDTH];
        unpack<T>(x, next);
        next = row.load(begin + blockDim.x + threadIdx.x);
        softmax.add(x);
        if (!noisy) {
            for (int i = 0; i < WIDTH; i++)
                if (first + i != banned) winner.offer(x[i], first + i);
            continue;
        }
        unsigned candidates = noise.candidates(x, first, bound);
        if (!any(candidates != 0)) continue;
        do {
            if (candidates != 0) {
                offer_noisy(winner, first + __ffs(int(candidates)) - 1);
                candidates &= candidates - 1;
            }
        } while (any(candidates != 0));
        bound = warp_max(winner.score);
    }
    softmax = merge_row(softmax, partial_sums);
    winner = merge_row(winner, partial_winners);
    if (threadIdx.x != 0) return;
    const int32_t token = winner.result(columns, banned);
    tokens[m] = token;
    // Far below the largest the approximate exponential would lose bits.
    confidence[m] = expf(to_float(row.data[token]) - softmax.largest) / softmax.sum;
}

}  // namespace

void CudaBackend::predict_tokens(Tensor tokens, Tensor confidence, Tensor logits, const DrawKey* draws,
                                 const PredictOptions& options) {
    const OpCheck op("predict_tokens");
    const int64_t M = logits.rows, V = logits.cols;
    op.shape("tokens", tokens, 1, M, DType::i32);
    op.shape("confidence", confidence, 1, M);
    op.shape("logits", logits, M, V, compute_);
    if (!(options.temperature >= 0))
        op.broken("temperature must be at least 0, got " + std::to_string(options.temperature));
    if (M == 0) return;
    op.that(V > 0, "logits must have columns");
    const DrawKey* device_draws = nullptr;
    if (options.temperature > 0) {
        const size_t bytes = size_t(M) * sizeof(DrawKey);
        void* const copied = scratch_.get(bytes);
        context_.upload(copied, draws, bytes);
        device_draws = static_cast<const DrawKey*>(copied);
    }
    const dim3 block = row_block(logits);
    constexpr size_t PARTIALS = MOST_ROW_THREADS / WARP * (sizeof(SoftmaxSum) + sizeof(Winner));
    dispatch(compute_, [&](auto element) {
        using T = decltype(element);
        check(launch(predict_rows<T>, row_grid(logits, block), block, PARTIALS, context_.stream(), tokens.i32(),
                     confidence.f32(), rows_of<const T>(logits), device_draws, M, V, options.temperature,
                     options.banned_token),
              "predict_rows");
    });
}

}  // namespace dllm::cuda
