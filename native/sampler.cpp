// Sampler: see sampler.h.
#include "sampler.h"

#include "error.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace dllm {

Sampler::Sampler(std::shared_ptr<Model> model, const SampleConfig& config, std::vector<SampleRequest> requests)
    : model_(std::move(model)), config_(config) {
    if (requests.empty()) fail(ErrorCode::config, "there are no requests to sample; accepted: at least 1");
    if (!(config.temperature >= 0) || !std::isfinite(config.temperature))
        fail(ErrorCode::config, "temperature is " + std::to_string(config.temperature) + "; accepted: a number from 0");
    for (SampleRequest& request : requests) canvases_.emplace_back(std::move(request), config, model_->config());
    for (const Canvas& canvas : canvases_) longest_ = std::max(longest_, int64_t(canvas.tokens().size()));
    workspace_ = std::make_unique<Workspace>(model_->backend(), model_->config(), int64_t(canvases_.size()), longest_,
                                             Pass::inference);
}

bool Sampler::done() const {
    return std::all_of(canvases_.begin(), canvases_.end(), [](const Canvas& canvas) { return canvas.done(); });
}

// Canvases that still have something to commit, side by side; shorter ones are filled up and cut off by their length.
Batch Sampler::batch(const std::vector<size_t>& active) const {
    Batch batch;
    for (const size_t index : active) batch.length = std::max(batch.length, int64_t(canvases_[index].tokens().size()));
    batch.batch = int64_t(active.size());
    for (const size_t index : active) {
        const std::vector<int32_t>& tokens = canvases_[index].tokens();
        batch.tokens.insert(batch.tokens.end(), tokens.begin(), tokens.end());
        batch.tokens.resize(batch.tokens.size() + size_t(batch.length) - tokens.size(), model_->config().mask_token_id);
        batch.lengths.push_back(int32_t(tokens.size()));
    }
    return batch;
}

std::vector<Frame> Sampler::step() {
    std::vector<size_t> active;
    for (size_t i = 0; i < canvases_.size(); i++)
        if (!canvases_[i].done()) active.push_back(i);

    std::vector<Canvas::Committed> committed(canvases_.size());
    if (!active.empty()) {
        // Masked positions of the active blocks: the only rows that the head runs on.
        const Batch inputs = batch(active);
        std::vector<int32_t> rows;
        std::vector<DrawKey> draws;
        std::vector<size_t> counts;
        for (size_t row = 0; row < active.size(); row++) {
            const std::vector<int32_t> positions = canvases_[active[row]].masked_positions();
            counts.push_back(positions.size());
            for (const int32_t position : positions) {
                rows.push_back(int32_t(int64_t(row) * inputs.length) + position);
                draws.push_back(canvases_[active[row]].draw_key(position));
            }
        }
        const Prediction prediction = predict(inputs, rows, draws);
        size_t first = 0;
        for (size_t row = 0; row < active.size(); row++) {
            committed[active[row]] =
                canvases_[active[row]].commit(std::span(prediction.tokens).subspan(first, counts[row]),
                                              std::span(prediction.confidences).subspan(first, counts[row]));
            first += counts[row];
        }
    }

    std::vector<Frame> frames;
    for (size_t i = 0; i < canvases_.size(); i++)
        frames.push_back({canvases_[i].forward_passes(), canvases_[i].tokens(), std::move(committed[i].positions),
                          std::move(committed[i].confidences)});
    return frames;
}

// One forward pass, then the most likely (or drawn) token of every row with its confidence.
Sampler::Prediction Sampler::predict(const Batch& inputs, const std::vector<int32_t>& rows,
                                     const std::vector<DrawKey>& draws) {
    Backend& backend = model_->backend();
    workspace_->load(inputs);
    model_->transformer().forward(model_->compute_weights(), *workspace_);

    Prediction prediction{std::vector<int32_t>(rows.size()), std::vector<float>(rows.size())};
    Tensor tokens, confidences;
    const int64_t chunk = std::min(workspace_->head_chunk, int64_t(rows.size()));
    const Arena arena = Arena::lay_out(backend, [&](Arena& a) {
        tokens = a.take(1, chunk, DType::i32);
        confidences = a.take(1, chunk);
    });
    const PredictOptions options{float(config_.temperature), model_->config().mask_token_id};
    model_->transformer().logits(model_->compute_weights(), *workspace_, rows, [&](int64_t first, Tensor logits) {
        const Tensor chunk_tokens = tokens.reshape(1, logits.rows),
                     chunk_confidences = confidences.reshape(1, logits.rows);
        backend.predict_tokens(chunk_tokens, chunk_confidences, logits, draws.data() + first, options);
        backend.download(prediction.tokens.data() + first, chunk_tokens);
        backend.download(prediction.confidences.data() + first, chunk_confidences);
    });
    return prediction;
}

void Sampler::run(const std::atomic<bool>& aborted) {
    while (!done()) {
        if (aborted) fail(ErrorCode::aborted, "sampling was aborted");
        step();
    }
}

}  // namespace dllm
