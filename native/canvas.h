// One request's canvas: prompt, then tokens to be filled in, block by block.
#pragma once

#include "backend.h"
#include "config.h"

#include <cstdint>
#include <span>
#include <vector>

namespace dllm {

struct SampleRequest {
    std::vector<int32_t> tokens;  // prompt, then the canvas: mask tokens are to be filled in, others stay
    int64_t prompt_length;
    uint64_t seed;
    uint64_t index;  // tells requests of one seed apart
};

// Where a request stands. Which tokens it has is on the device; the copy here is as old as its last set_tokens().
class Canvas {
public:
    // Throws ERR_CONFIG for a request that does not fit the model or the configuration.
    Canvas(SampleRequest request, const SampleConfig& config, const ModelConfig& model);

    bool done() const { return block_ == blocks_; }
    // Masked positions of the active block, which the next forward pass predicts.
    int64_t masks() const { return masks_; }
    // What the next forward pass does. count is only right where the commit rule is a count.
    RequestPlan plan() const;
    // After a forward pass that left so many masked positions in the active block.
    void advance(int64_t left);

    void set_tokens(std::span<const int32_t> tokens) { request_.tokens.assign(tokens.begin(), tokens.end()); }
    const std::vector<int32_t>& tokens() const { return request_.tokens; }
    int64_t prompt_length() const { return request_.prompt_length; }
    int64_t forward_passes() const { return forward_passes_; }

private:
    int64_t begin_of(int64_t block) const { return request_.prompt_length + block * block_length_; }
    void enter(int64_t block);

    SampleRequest request_;
    PhiloxKey key_;
    int32_t mask_token_id_;
    int64_t block_length_, blocks_;
    int64_t steps_per_block_;  // 0: unknown, for they depend on the model's confidence
    int64_t block_ = 0;        // the active one
    int64_t block_masks_ = 0;  // masked positions when it began
    int64_t masks_ = 0;
    int64_t step_ = 0;
    int64_t forward_passes_ = 0;
};

// Tokens to commit at step `step` of `steps`: floor(masks / steps), and one more in the first masks mod steps.
int64_t unmask_count(int64_t masks, int64_t step, int64_t steps);

}  // namespace dllm
