// Predicting the token of each masked position, with its confidence.
#include "backend.h"
#include "check.h"
#include "thread_pool.h"

namespace dllm {

void CpuBackend::predict_tokens(Tensor tokens, Tensor confidence, Tensor logits, const DrawKey* draws,
                                const PredictOptions& options) {
    const OpCheck check("predict_tokens");
    const int64_t M = logits.rows, V = logits.cols;
    check.shape("tokens", tokens, 1, M, DType::i32);
    check.shape("confidence", confidence, 1, M);
    check.shape("logits", logits, M, V);
    if (!(options.temperature >= 0))
        check.broken("temperature must be at least 0, got " + std::to_string(options.temperature));
    parallel_for(M, [&](int64_t row) {
        const float* x = logits.f32() + row * logits.stride;
        int32_t token;
        if (options.temperature == 0) {
            token = kernels_.argmax(x, V, options.banned_token);
        } else {
            const DrawKey& draw = draws[row];
            const NoiseKey noise{draw.key.words[0], draw.key.words[1], draw.position, draw.step,
                                 uint32_t(Stream::token_noise)};
            token = kernels_.noisy_argmax(x, V, options.banned_token, options.temperature, noise);
        }
        tokens.i32()[row] = token;
        confidence.f32()[row] = kernels_.softmax_at(x, V, token);
    });
}

}  // namespace dllm
