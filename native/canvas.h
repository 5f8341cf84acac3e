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

class Canvas {
public:
    Canvas(SampleRequest request, const SampleConfig& config, const ModelConfig& model);

    bool done() const { return step_ == steps_; }
    // Masked positions of the active block, ascending.
    std::vector<int32_t> masked_positions() const;
    DrawKey draw_key(int32_t position) const;

    struct Committed {
        std::vector<int32_t> positions;  // ascending
        std::vector<float> confidences;
    };
    // Takes the predictions of masked_positions() in the same order, commits this step's share of them and
    // advances to the next step that has something to commit.
    Committed commit(std::span<const int32_t> predicted, std::span<const float> confidences);

    const std::vector<int32_t>& tokens() const { return request_.tokens; }
    int64_t prompt_length() const { return request_.prompt_length; }
    int64_t forward_passes() const { return forward_passes_; }

private:
    int64_t block_begin() const;
    void skip_empty_steps();

    SampleRequest request_;
    Remasking remasking_;
    PhiloxKey key_;
    int32_t mask_token_id_;
    int64_t block_length_;
    int64_t steps_;
    int64_t steps_per_block_;
    int64_t step_ = 0;
    int64_t block_masks_ = 0;  // masked positions when the active block began
    int64_t forward_passes_ = 0;
};

// Tokens to commit at step `step` of `steps`: floor(masks / steps), and one more in the first masks mod steps.
int64_t unmask_count(int64_t masks, int64_t step, int64_t steps);

}  // namespace dllm
