// Sampler: see sampler.h.
#include "sampler.h"

#include "error.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace dllm {
namespace {

void validate(const SampleConfig& config) {
    auto reject = [](const std::string& key, double value, const std::string& accepted) {
        fail(ErrorCode::config, key + " is " + std::to_string(value) + "; accepted: " + accepted);
    };
    if (!(config.temperature >= 0) || !std::isfinite(config.temperature))
        reject("temperature", config.temperature, "a number from 0");
    if (config.top_k < 0) reject("topK", double(config.top_k), "an integer from 0");
    if (!(config.top_p > 0 && config.top_p <= 1)) reject("topP", config.top_p, "a number above 0, at most 1");
    if (config.commit.kind == CommitKind::count) return;
    if (!(config.commit.value > 0) || !std::isfinite(config.commit.value))
        reject(config.commit.kind == CommitKind::threshold ? "threshold" : "factor", config.commit.value,
               "a number above 0");
    if (config.remasking == Remasking::random || config.remasking == Remasking::entropy)
        fail(ErrorCode::config, "a threshold or a factor needs probabilities; accepted: low_confidence or margin");
}

}  // namespace

Sampler::Sampler(std::shared_ptr<Model> model, const SampleConfig& config, std::vector<SampleRequest> requests)
    : model_(std::move(model)), config_(config) {
    if (requests.empty()) fail(ErrorCode::config, "there are no requests to sample; accepted: at least 1");
    validate(config);
    options_ = {float(config.temperature), model_->config().mask_token_id, config.remasking, config.top_k,
                float(config.top_p)};
    for (SampleRequest& request : requests) canvases_.emplace_back(std::move(request), config, model_->config());
    for (const Canvas& canvas : canvases_) longest_ = std::max(longest_, int64_t(canvas.tokens().size()));

    Backend& backend = model_->backend();
    const int64_t B = int64_t(canvases_.size()), N = B * longest_, M = B * std::min(config.block_length, longest_);
    workspace_ = std::make_unique<Workspace>(backend, model_->config(), B, longest_, Pass::inference);
    arena_ = Arena::lay_out(backend, [&](Arena& arena) {
        plan_ = arena.take(B, PLAN_COLUMNS, DType::i32);
        first_ = arena.take(1, B + 1, DType::i32);
        left_tensor_ = arena.take(1, B, DType::i32);
        steps_ = arena.take(1, N, DType::i32);
        confidences_ = arena.take(1, N);
        predictions_ = {arena.take(1, M, DType::i32), arena.take(1, M, DType::i32), arena.take(1, M), arena.take(1, M)};
    });
}

bool Sampler::done() const {
    return std::all_of(canvases_.begin(), canvases_.end(), [](const Canvas& canvas) { return canvas.done(); });
}

// Canvases that still have something to fill in, side by side; shorter ones are filled up and cut off by their length.
void Sampler::load_active() {
    download_tokens();
    active_.clear();
    for (size_t i = 0; i < canvases_.size(); i++)
        if (!canvases_[i].done()) active_.push_back(i);

    Batch batch;
    batch.batch = int64_t(active_.size());
    for (const size_t index : active_) batch.length = std::max(batch.length, int64_t(canvases_[index].tokens().size()));
    for (const size_t index : active_) {
        const std::vector<int32_t>& tokens = canvases_[index].tokens();
        batch.tokens.insert(batch.tokens.end(), tokens.begin(), tokens.end());
        batch.tokens.resize(batch.tokens.size() + size_t(batch.length) - tokens.size(), model_->config().mask_token_id);
        batch.lengths.push_back(int32_t(tokens.size()));
    }
    workspace_->load(batch);

    const int64_t B = batch.batch, N = B * batch.length;
    length_ = batch.length;
    plan_.rows = B;
    first_ = first_.reshape(1, B + 1), left_tensor_ = left_tensor_.reshape(1, B);
    steps_ = steps_.reshape(1, N), confidences_ = confidences_.reshape(1, N);
    model_->backend().upload(steps_, std::vector<int32_t>(size_t(N), -1).data());
    plans_.resize(active_.size()), left_.resize(active_.size());
    all_active_ = true;
}

// One forward pass and what it commits. Does not wait for the device unless it must know what is left.
void Sampler::advance() {
    if (!all_active_) load_active();
    int64_t masks = 0;
    for (size_t i = 0; i < active_.size(); i++) {
        plans_[i] = canvases_[active_[i]].plan();
        masks += canvases_[active_[i]].masks();
    }
    Backend& backend = model_->backend();
    backend.upload(plan_, plans_.data());
    const Tensor& room = predictions_.rows;
    workspace_->select(room.slice_cols(0, std::min(backend.padded_rows(masks), room.cols)));
    workspace_->recordings.run(workspace_->key(), [this] { denoise(); });

    const bool by_count = config_.commit.kind == CommitKind::count;
    if (!by_count) backend.download(left_.data(), left_tensor_);
    for (size_t i = 0; i < active_.size(); i++) {
        Canvas& canvas = canvases_[active_[i]];
        canvas.advance(by_count ? canvas.masks() - plans_[i].count : left_[i]);
        all_active_ = all_active_ && !canvas.done();
    }
}

Predictions Sampler::part(int64_t first, int64_t count) const {
    return {predictions_.rows.slice_cols(first, count), predictions_.tokens.slice_cols(first, count),
            predictions_.confidence.slice_cols(first, count), predictions_.score.slice_cols(first, count)};
}

// On the device alone: the same ops on the same tensors for each number of rows.
void Sampler::denoise() {
    Backend& backend = model_->backend();
    const Transformer& transformer = model_->transformer();
    const Tensor weights = model_->compute_weights();
    const Predictions predictions = part(0, workspace_->head_count);
    transformer.forward(weights, *workspace_);
    backend.masked_rows(predictions.rows, first_, workspace_->tokens, plan_, options_.banned_token);
    transformer.logits(weights, *workspace_, [this](int64_t first, Tensor logits) {
        model_->backend().predict_tokens(part(first, logits.rows), logits, plan_, length_, options_);
    });
    backend.commit_tokens({workspace_->tokens, steps_, confidences_}, left_tensor_, predictions, first_, plan_,
                          config_.commit);
}

void Sampler::download_tokens() {
    if (active_.empty()) return;
    std::vector<int32_t> tokens(active_.size() * size_t(length_));
    model_->backend().download(tokens.data(), workspace_->tokens);
    for (size_t i = 0; i < active_.size(); i++) {
        Canvas& canvas = canvases_[active_[i]];
        canvas.set_tokens(std::span(tokens).subspan(i * size_t(length_), canvas.tokens().size()));
    }
}

std::vector<Frame> Sampler::step() {
    std::vector<Frame> frames(canvases_.size());
    if (!done()) {
        advance();
        download_tokens();
        std::vector<int32_t> steps(active_.size() * size_t(length_));
        std::vector<float> confidences(steps.size());
        model_->backend().download(steps.data(), steps_);
        model_->backend().download(confidences.data(), confidences_);
        for (size_t i = 0; i < active_.size(); i++) {
            Frame& frame = frames[active_[i]];
            for (int32_t position = plans_[i].begin; position < plans_[i].end; position++) {
                const size_t row = i * size_t(length_) + size_t(position);
                if (steps[row] != plans_[i].step) continue;
                frame.positions.push_back(position);
                frame.confidences.push_back(confidences[row]);
            }
        }
    }
    for (size_t i = 0; i < frames.size(); i++) {
        frames[i].step = canvases_[i].forward_passes();
        frames[i].canvas = canvases_[i].tokens();
    }
    return frames;
}

void Sampler::run(const std::atomic<bool>& aborted) {
    while (!done()) {
        if (aborted) fail(ErrorCode::aborted, "sampling was aborted");
        advance();
    }
    download_tokens();
}

}  // namespace dllm
