// Canvas: see canvas.h.
#include "canvas.h"

#include "error.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace dllm {
namespace {

// Confidences are compared in steps of 2^-16: rounding noise of the forward pass then decides no choice.
float rounded(float confidence) { return std::nearbyint(confidence * 0x1p16f) * 0x1p-16f; }

std::string number(int64_t value) { return std::to_string(value); }

}  // namespace

int64_t unmask_count(int64_t masks, int64_t step, int64_t steps) {
    return masks / steps + (step < masks % steps ? 1 : 0);
}

Canvas::Canvas(SampleRequest request, const SampleConfig& config, const ModelConfig& model)
    : request_(std::move(request)), remasking_(config.remasking), key_(philox_key(request_.seed, request_.index)),
      mask_token_id_(model.mask_token_id), block_length_(config.block_length), steps_(config.steps) {
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
    const int64_t blocks = length / block_length_;
    if (steps_ < 1 || steps_ % blocks != 0)
        fail(ErrorCode::config, "steps is " + number(steps_) + "; accepted: a multiple of the " + number(blocks) +
                                    " blocks (length / blockLength)");
    const int64_t masks = std::count(tokens.begin() + request_.prompt_length, tokens.end(), mask_token_id_);
    if (steps_ > masks)
        fail(ErrorCode::config, "steps is " + number(steps_) + "; accepted: at most the " + number(masks) +
                                    " masked tokens, since every step must commit one");
    steps_per_block_ = steps_ / blocks;
    block_masks_ = int64_t(masked_positions().size());
    skip_empty_steps();
}

int64_t Canvas::block_begin() const { return request_.prompt_length + step_ / steps_per_block_ * block_length_; }

std::vector<int32_t> Canvas::masked_positions() const {
    std::vector<int32_t> positions;
    if (done()) return positions;
    for (int64_t i = block_begin(); i < block_begin() + block_length_; i++)
        if (request_.tokens[size_t(i)] == mask_token_id_) positions.push_back(int32_t(i));
    return positions;
}

DrawKey Canvas::draw_key(int32_t position) const { return {key_, uint32_t(position), uint32_t(step_)}; }

// A block with fewer masked tokens than steps (a canvas with fixed positions) has steps with nothing to commit.
void Canvas::skip_empty_steps() {
    while (!done() && unmask_count(block_masks_, step_ % steps_per_block_, steps_per_block_) == 0) {
        step_++;
        if (step_ % steps_per_block_ == 0) block_masks_ = int64_t(masked_positions().size());
    }
}

Canvas::Committed Canvas::commit(std::span<const int32_t> predicted, std::span<const float> confidences) {
    const std::vector<int32_t> positions = masked_positions();
    std::vector<float> scores(positions.size());
    for (size_t i = 0; i < positions.size(); i++) {
        scores[i] = remasking_ == Remasking::low_confidence
                        ? rounded(confidences[i])
                        : float(random_bits(key_, Stream::remask, uint32_t(step_), uint32_t(positions[i]), 0) >> 8);
    }
    std::vector<size_t> order(positions.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    order.resize(size_t(unmask_count(block_masks_, step_ % steps_per_block_, steps_per_block_)));
    std::sort(order.begin(), order.end());

    Committed committed;
    for (const size_t i : order) {
        request_.tokens[size_t(positions[i])] = predicted[i];
        committed.positions.push_back(positions[i]);
        committed.confidences.push_back(confidences[i]);
    }
    forward_passes_++;
    step_++;
    if (step_ % steps_per_block_ == 0) block_masks_ = int64_t(masked_positions().size());
    skip_empty_steps();
    return committed;
}

}  // namespace dllm
