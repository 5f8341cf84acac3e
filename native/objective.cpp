// Objectives: see objective.h.
#include "objective.h"

#include "error.h"
#include "noise.h"
#include "rng.h"

#include <string>

namespace dllm {
namespace {

// Evaluation's own seed: its windows and noise are the same whatever seed a run trains with.
constexpr uint64_t EVAL_SEED = 0x6c6c61646c617665;

// Where the draws of one batch come from: sequences are numbered over the whole run.
struct BatchSeed {
    uint64_t seed;
    uint64_t index;  // of the batch
    uint64_t first_sequence;
};

int64_t window_begin(PhiloxKey key, int64_t windows) {
    // 53 bits: uniform over any dataset that fits in memory.
    const uint64_t high = random_bits(key, Stream::window, 0, 0, 0), low = random_bits(key, Stream::window, 0, 0, 1);
    return int64_t(double((high << 32 | low) >> 11) * 0x1p-53 * double(windows));
}

Batch make_batch(const TrainConfig& config, const ModelConfig& model, const Dataset& dataset, int64_t batch_size,
                 int64_t length, const BatchSeed& seed) {
    const int64_t windows = dataset.size() - config.context_length + 1;
    if (windows < 1)
        fail(ErrorCode::data, "the dataset has " + std::to_string(dataset.size()) + " tokens; accepted: at least " +
                                  std::to_string(config.context_length) + ", one sequence of contextLength");
    Batch batch;
    batch.batch = batch_size, batch.length = length;
    batch.tokens.resize(size_t(batch_size * length));
    batch.loss_weights.assign(batch.tokens.size(), 0.0f);
    for (int64_t b = 0; b < batch_size; b++) {
        const PhiloxKey key = philox_key(seed.seed, seed.first_sequence + uint64_t(b));
        dataset.read(window_begin(key, windows), length, model.vocab_size, batch.tokens.data() + b * length);
    }
    batch.targets = batch.tokens;
    return batch;
}

// Masked diffusion: weights masked / (p B T), attention full, t stratified over the batch's sequences.
void mask_batch(Batch& batch, const ModelConfig& model, double min_time, const BatchSeed& seed) {
    const double offset = uniform(random_bits(philox_key(seed.seed, seed.index), Stream::time, 0, 0, 0));
    batch.attention.kind = AttentionKind::full;
    for (int64_t b = 0; b < batch.batch; b++) {
        const size_t begin = size_t(b * batch.length), length = size_t(batch.length);
        const double time = (double(b) + offset) / double(batch.batch);
        corrupt(std::span(batch.tokens).subspan(begin, length), std::span(batch.loss_weights).subspan(begin, length),
                model.mask_token_id, mask_probability(time, min_time), 1.0 / double(batch.batch * batch.length),
                philox_key(seed.seed, seed.first_sequence + uint64_t(b)));
    }
}

// Autoregressive: position i predicts token i + 1, weights 1 / (B (T - 1)), attention causal.
void shift_batch(Batch& batch) {
    batch.attention.kind = AttentionKind::causal;
    const float weight = float(1.0 / double(batch.batch * (batch.length - 1)));
    for (int64_t b = 0; b < batch.batch; b++) {
        for (int64_t t = 0; t + 1 < batch.length; t++) {
            const size_t i = size_t(b * batch.length + t);
            batch.targets[i] = batch.tokens[i + 1];
            batch.loss_weights[i] = weight;
        }
    }
}

void apply_objective(Batch& batch, const TrainConfig& config, const ModelConfig& model, const BatchSeed& seed) {
    switch (config.objective.kind) {
        case ObjectiveKind::masked: mask_batch(batch, model, config.objective.min_time, seed); break;
        case ObjectiveKind::next_token: shift_batch(batch); break;
    }
}

// A small share of masked-diffusion steps is cut to a random length, so that the model meets short texts.
int64_t step_length(const TrainConfig& config, int64_t step) {
    if (config.objective.kind != ObjectiveKind::masked) return config.context_length;
    const PhiloxKey key = philox_key(config.seed, uint64_t(step));
    if (uniform(random_bits(key, Stream::random_length, 0, 0, 0)) >= config.objective.random_length_fraction)
        return config.context_length;
    return 1 + int64_t(uniform(random_bits(key, Stream::random_length, 0, 0, 1)) * double(config.context_length));
}

}  // namespace

Batch training_batch(const TrainConfig& config, const ModelConfig& model, const Dataset& dataset, int64_t step) {
    const BatchSeed seed{config.seed, uint64_t(step), uint64_t(step) * uint64_t(config.batch_size)};
    Batch batch = make_batch(config, model, dataset, config.batch_size, step_length(config, step), seed);
    apply_objective(batch, config, model, seed);
    return batch;
}

Batch evaluation_batch(const TrainConfig& config, const ModelConfig& model, const Dataset& dataset, int64_t index) {
    const BatchSeed seed{EVAL_SEED, uint64_t(index), uint64_t(index) * EVAL_BATCH_SIZE};
    Batch batch = make_batch(config, model, dataset, EVAL_BATCH_SIZE, config.context_length, seed);
    apply_objective(batch, config, model, seed);
    return batch;
}

}  // namespace dllm
