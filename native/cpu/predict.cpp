// Predicting the token of each masked position, with its confidence and its score.
#include "../sampling_check.h"
#include "../thread_pool.h"
#include "backend.h"
#include "scratch.h"

#include <limits>

namespace dllm {

namespace {

struct Row {
    const float* logits;
    int64_t columns;
};

// Draws from all tokens until the drawn one is among those to draw from. The tokens that are not are the ones behind
// some token, so a draw that is refused rules out itself and all behind it; the noise of a token stays the same.
// What comes out is the winner among those to draw from.
int32_t draw_token(const Kernels& kernels, Row row, const PredictOptions& options, const NoiseKey& noise) {
    const int32_t banned = options.banned_token;
    int32_t token = kernels.noisy_argmax(row.logits, row.columns, banned, options.temperature, noise);
    if (options.top_k == 0 && options.top_p == 1) return token;
    const int64_t top_k = options.top_k == 0 ? std::numeric_limits<int64_t>::max() : options.top_k;
    float* ahead = scratch(ScratchUse::own, row.columns);
    while (true) {
        const TokensAhead found =
            kernels.tokens_ahead(ahead, row.logits, row.columns, token, banned, options.temperature);
        const bool in_nucleus = options.top_p == 1 || found.mass < double(options.top_p) * found.total;
        if (found.count == 0 || (found.count < top_k && in_nucleus)) return token;
        token = kernels.noisy_argmax(ahead, row.columns, banned, options.temperature, noise);
    }
}

float score_of(const Kernels& kernels, Row row, float confidence, Remasking kind, const NoiseKey& noise) {
    switch (kind) {
        case Remasking::low_confidence: return confidence;
        case Remasking::margin: return kernels.margin(row.logits, row.columns);
        case Remasking::entropy: return kernels.negative_entropy(row.logits, row.columns);
        case Remasking::random: break;
    }
    return random_score({{noise.key0, noise.key1}}, noise.step, noise.position);
}

}  // namespace

void CpuBackend::predict_tokens(const Predictions& out, Tensor logits, Tensor plan, int64_t length,
                                const PredictOptions& options) {
    const SamplingCheck check("predict_tokens");
    const int64_t M = logits.rows, V = logits.cols;
    check.predictions(out, M);
    check.shape("logits", logits, M, V);
    check.plan(plan);
    check.options(options);
    check.indices("rows", out.rows, plan.rows * length);
    const auto* requests = static_cast<const RequestPlan*>(plan.data);
    parallel_for(M, [&](int64_t m) {
        const Row row{logits.f32() + m * logits.stride, V};
        const RequestPlan& request = requests[out.rows.i32()[m] / length];
        const NoiseKey noise{request.key.words[0], request.key.words[1], uint32_t(out.rows.i32()[m] % length),
                             uint32_t(request.step), uint32_t(Stream::token_noise)};
        const int32_t token = options.temperature == 0 ? kernels_.argmax(row.logits, V, options.banned_token)
                                                       : draw_token(kernels_, row, options, noise);
        const float confidence = kernels_.softmax_at(row.logits, V, token);
        out.tokens.i32()[m] = token;
        out.confidence.f32()[m] = confidence;
        out.score.f32()[m] = score_of(kernels_, row, confidence, options.score, noise);
    });
}

}  // namespace dllm
