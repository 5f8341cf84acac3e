// The forward process of masked diffusion: see noise.h.
#include "noise.h"

namespace dllm {

double mask_probability(double time, double min_time) { return (1 - min_time) * time + min_time; }

void corrupt(std::span<int32_t> tokens, std::span<float> loss_weights, int32_t mask_token_id, double mask_probability,
             double scale, PhiloxKey key) {
    for (size_t i = 0; i < tokens.size(); i++) {
        const bool is_masked = uniform(random_bits(key, Stream::mask, 0, uint32_t(i), 0)) < mask_probability;
        loss_weights[i] = is_masked ? float(scale / mask_probability) : 0.0f;
        if (is_masked) tokens[i] = mask_token_id;
    }
}

}  // namespace dllm
