// Predicting the token of each masked position, with its confidence and its score, in one read of the logits; top-k and
// top-p need at least one more.
#include "../sampling_check.h"
#include "backend.h"
#include "predict_draw.h"
#include "predict_filter.h"
#include "predict_scores.h"
#include "row_packs.h"

#include <algorithm>

namespace dllm::cuda {
namespace {

// Two blocks on a multiprocessor then have 96 registers a thread: a draw needs more than 80.
constexpr int MOST_WARPS = 10, MOST_THREADS = MOST_WARPS * WARP_SIZE;

struct Choice {
    float temperature;
    int32_t banned;
    TokenFilter filter;
};

// tokens, confidence, score (rows) of logits (rows, columns), rows being those of `row_indices`
template <class T, class Score>
__global__ void __launch_bounds__(MOST_THREADS, 2)
    predict_rows(int32_t* tokens, float* confidence, float* scores, Rows<const T> logits, const int32_t* row_indices,
                 const RequestPlan* plan, int64_t length, int64_t rows, int columns, Choice choice) {
    auto* const partial_scores = shared_memory<Score>();                                       // (warps)
    auto* const partial_winners = reinterpret_cast<Winner*>(partial_scores + MOST_WARPS);      // (warps)
    auto* const partial_ahead = reinterpret_cast<TokensAhead*>(partial_winners + MOST_WARPS);  // (warps)
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
        while (!choice.filter.is_off(columns) && winner.token != NO_TOKEN) {
            const Place place{to_float(row.data[winner.token]), winner.token};
            const TokensAhead ahead =
                merge_row(tokens_ahead(row, choice.banned, noise.inverse_temperature, place), partial_ahead);
            if (choice.filter.allows(ahead)) break;
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
    const dim3 block = row_threads<MOST_WARPS>(logits);
    constexpr size_t PARTIALS = MOST_WARPS * (sizeof(Score) + sizeof(Winner) + sizeof(TokensAhead));
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
    check_columns(op, logits);
    const int64_t top_k = options.top_k == 0 ? V : std::min(options.top_k, V);
    const Choice choice{options.temperature, options.banned_token, {int32_t(top_k), options.top_p}};
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
