// Canvas: see canvas.h.
#include "canvas.h"

#include "error.h"

#include <algorithm>
#include <string>

namespace dllm {
namespace {

std::string number(int64_t value) { return std::to_string(value); }

int64_t checked_steps(int64_t steps, int64_t masks, int64_t blocks) {
    if (steps < 1 || steps % blocks != 0)
        fail(ErrorCode::config, "steps is " + number(steps) + "; accepted: a multiple of the " + number(blocks) +
                                    " blocks (length / blockLength)");
    if (steps > masks)
        fail(ErrorCode::config, "steps is " + number(steps) + "; accepted: at most the " + number(masks) +
                                    " masked tokens, since every step must commit one");
    return steps;
}

}  // namespace

int64_t unmask_count(int64_t masks, int64_t step, int64_t steps) {
    return masks / steps + (step < masks % steps ? 1 : 0);
}

Canvas::Canvas(SampleRequest request, const SampleConfig& config, const ModelConfig& model)
    : request_(std::move(request)), key_(philox_key(request_.seed, request_.index)),
      mask_token_id_(model.mask_token_id), block_length_(config.block_length) {
    const std::vector<int32_t>& tokens = request_.tokens;
    const int64_t total = int64_t(tokens.size()), length = total - request_.prompt_length;
    if (request_.prompt_length < 0 || length < 1)
        fail(ErrorCode::config, "the canvas has " + number(length) + " positions; accepted: at least 1");
    if (total > model.context_length)
        fail(ErrorCode::config, "prompt and length are " + number(total) +
                                    " tokens together; accepted: up to the model's context of " +
                                    number(model.context_length));
    for (int64_t i = 0; i < total; i++) {
        if (tokens[size_t(i)] < 0 || tokens[size_t(i)] >= model.vocab_size)
            fail(ErrorCode::config, "token " + number(i) + " is " + number(tokens[size_t(i)]) + "; accepted: 0 to " +
                                        number(model.vocab_size - 1));
        if (i < request_.prompt_length && tokens[size_t(i)] == mask_token_id_)
            fail(ErrorCode::config,
                 "prompt token " + number(i) + " is the mask token; give free positions as a canvas");
    }
    if (block_length_ < 1 || length % block_length_ != 0)
        fail(ErrorCode::config,
             "blockLength is " + number(block_length_) + "; accepted: a divisor of the length " + number(length));
    blocks_ = length / block_length_;
    const int64_t masks = std::count(tokens.begin() + request_.prompt_length, tokens.end(), mask_token_id_);
    if (masks == 0) fail(ErrorCode::config, "the canvas has no mask tokens; accepted: at least 1");
    steps_per_block_ =
        config.commit.kind == CommitKind::count ? checked_steps(config.steps, masks, blocks_) / blocks_ : 0;
    enter(0);
}

// Goes on to the first block from this one on that has something to fill in. A block with fewer masked positions than
// steps (a canvas with fixed positions) has steps with nothing to commit, which are not run.
void Canvas::enter(int64_t block) {
    const auto begin = request_.tokens.begin() + begin_of(block);
    const auto found = std::find(begin, request_.tokens.end(), mask_token_id_);
    block_ = found == request_.tokens.end() ? blocks_ : block + (found - begin) / block_length_;
    if (done()) return;
    const auto first = request_.tokens.begin() + begin_of(block_);
    block_masks_ = masks_ = std::count(first, first + block_length_, mask_token_id_);
    if (steps_per_block_ > 0) step_ = block_ * steps_per_block_;
}

RequestPlan Canvas::plan() const {
    const int64_t begin = begin_of(block_), steps = std::max<int64_t>(steps_per_block_, 1);
    const int64_t count = unmask_count(block_masks_, step_ - block_ * steps_per_block_, steps);
    return {int32_t(begin), int32_t(begin + block_length_), int32_t(count), int32_t(step_), key_};
}

void Canvas::advance(int64_t left) {
    forward_passes_++;
    step_++;
    masks_ = left;
    if (left == 0) enter(block_ + 1);
}

}  // namespace dllm
