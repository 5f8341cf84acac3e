// What a forward or training pass is given, on the host: the one form that every objective produces.
#pragma once

#include "attention_mask.h"
#include "config.h"

#include <cstdint>
#include <vector>

namespace dllm {

struct Batch {
    int64_t batch = 0;
    int64_t length = 0;               // T; 2T for block_diffusion
    std::vector<int32_t> tokens;      // [B, T]
    std::vector<int32_t> targets;     // [B, T], or empty
    std::vector<float> loss_weights;  // [B, T], or empty; rows of weight 0 cost nothing
    AttentionSpec attention;
    std::vector<int32_t> positions;  // [T], [B, T], or empty: 0 ... T-1 (twice 0 ... T/2-1 for block_diffusion)
    std::vector<int32_t> lengths;    // [B], or empty: all T
};

// Sequences [first, first + count) of a batch, with their own weights.
Batch slice(const Batch& batch, int64_t first, int64_t count);

// Throws ERR_CONFIG naming the field, what was found and what is accepted.
void validate(const Batch& batch, const ModelConfig& config, bool needs_targets);

}  // namespace dllm
