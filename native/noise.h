// The forward process of masked diffusion: at time t every token is masked independently with probability
// p = (1 - minTime) t + minTime (Nie et al., "Large Language Diffusion Models", 2025, algorithm 1).
#pragma once

#include "rng.h"

#include <cstdint>
#include <span>

namespace dllm {

double mask_probability(double time, double min_time);

// Replaces masked tokens of one clean sequence by mask_token_id and writes each token's loss weight: 1 / p where
// masked, else 0, times scale.
void corrupt(std::span<int32_t> tokens, std::span<float> loss_weights, int32_t mask_token_id, double mask_probability,
             double scale, PhiloxKey key);

}  // namespace dllm
