// Trainer: see trainer.h.
#include "trainer.h"

#include "error.h"
#include "learning_rate.h"
#include "objective.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

namespace dllm {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void check(const TrainConfig& config, const ModelConfig& model) {
    auto reject = [](const std::string& key, int64_t found, const std::string& accepted) {
        fail(ErrorCode::config, key + " is " + std::to_string(found) + "; accepted: " + accepted);
    };
    if (config.batch_size < 1) reject("batchSize", config.batch_size, "at least 1");
    if (config.gradient_accumulation < 1 || config.gradient_accumulation > config.batch_size)
        reject("gradientAccumulation", config.gradient_accumulation,
               "1 to batchSize (" + std::to_string(config.batch_size) + ")");
    if (config.context_length < 1 || config.context_length > model.context_length)
        reject("contextLength", config.context_length, "1 to the model's " + std::to_string(model.context_length));
    if (config.objective.kind == ObjectiveKind::next_token && config.context_length < 2)
        reject("contextLength", config.context_length, "at least 2 for next_token");
    if (!(config.ema_decay >= 0 && config.ema_decay < 1))
        fail(ErrorCode::config,
             "emaDecay is " + std::to_string(config.ema_decay) + "; accepted: at least 0 and below 1");
    if (config.eval_batches < 1) reject("evalBatches", config.eval_batches, "at least 1");
}

}  // namespace

Trainer::Trainer(std::shared_ptr<Model> model, const TrainConfig& config) : model_(std::move(model)), config_(config) {
    check(config, model_->config());
    Backend& backend = model_->backend();
    const int64_t size = model_->parameters().size;
    arena_ = Arena::lay_out(backend, [&](Arena& arena) {
        gradients_ = arena.take(1, size);
        first_moment_ = arena.take(1, size);
        second_moment_ = arena.take(1, size);
        stats_ = arena.take(1, Stats::columns);
        schedule_ = arena.take(1, Schedule::columns);
        evaluation_loss_ = arena.take(1, 1);
        if (config.ema_decay == 0) return;
        ema_ = arena.take(1, size);
        const DType compute = backend.compute_dtype();
        if (compute != DType::f32) compute_ema_ = arena.take(1, size, compute);
    });
    update_ = backend.make_recording();
    backend.zero(first_moment_);
    backend.zero(second_moment_);
    if (ema_) backend.copy(ema_, model_->weights());
}

Pass Trainer::training_pass() const {
    return config_.activation_recompute ? Pass::recomputing_training : Pass::training;
}

Workspace& Trainer::workspace(int64_t batch, int64_t length, Pass pass) const {
    std::unique_ptr<Workspace>& workspace = pass == Pass::inference ? evaluation_workspace_ : training_workspace_;
    if (!workspace || !workspace->fits(batch, length)) {
        workspace.reset();  // frees the smaller one first
        workspace = std::make_unique<Workspace>(model_->backend(), model_->config(), batch, length, pass);
    }
    return *workspace;
}

StepStats Trainer::step(const Dataset& dataset) {
    const double begin = now();
    // The whole context's room from the start: a step cut to a random length must not size it.
    const int64_t size = part_size(config_.batch_size, config_.context_length);
    workspace(size, config_.context_length, training_pass());
    const PreparedBatch taken = take_batch(dataset);
    return update(taken.batch, taken.is_loaded, size, begin,
                  [&] { prepare_batch(dataset, completed_steps_ + 1, size); });
}

StepStats Trainer::step(const Batch& batch) {
    const double begin = now();
    validate(batch, model_->config(), true);
    if (prepared_) prepared_->is_loaded = false;  // this one takes its place
    return update(batch, false, part_size(batch.batch, batch.length), begin, [] {});
}

Trainer::PreparedBatch Trainer::take_batch(const Dataset& dataset) {
    std::optional<PreparedBatch> prepared = std::exchange(prepared_, std::nullopt);
    if (prepared && prepared->dataset == dataset.id() && prepared->step == completed_steps_)
        return *std::move(prepared);
    return {dataset.id(), completed_steps_, training_batch(config_, model_->config(), dataset, completed_steps_),
            false};
}

// A batch is a function of dataset and step, so the one of the next step can be drawn while the device works on this
// one. If a step is not done in parts, the batch is also loaded: behind this step's work, which has its own until then.
void Trainer::prepare_batch(const Dataset& dataset, int64_t step, int64_t part_size) {
    if (!model_->backend().runs_behind()) return;
    try {
        prepared_ = {dataset.id(), step, training_batch(config_, model_->config(), dataset, step), false};
        const Batch& batch = prepared_->batch;
        if (batch.batch > part_size) return;
        load_part(workspace(part_size, batch.length, training_pass()), batch, step, 0);
        prepared_->is_loaded = true;
    } catch (const Error&) {
        // It is the next step's error, which meets it again.
    }
}

// Sequences of one part of a step of `batch` sequences, `length` tokens each.
int64_t Trainer::part_size(int64_t batch, int64_t length) const {
    const int64_t rows = std::max<int64_t>(model_->backend().rows_per_pass(), length);
    const int64_t parts = std::max(config_.gradient_accumulation, 1 + (batch - 1) / (rows / length));
    return (batch + parts - 1) / parts;
}

void Trainer::load_part(Workspace& space, const Batch& part, int64_t step, int64_t first_sequence) const {
    const PhiloxKey key = philox_key(config_.seed, uint64_t(step));
    space.load(part, {model_->config().dropout, uint64_t(key.words[1]) << 32 | key.words[0], first_sequence});
}

StepStats Trainer::update(const Batch& batch, bool is_loaded, int64_t part_size, double begin,
                          const std::function<void()>& meanwhile) {
    Backend& backend = model_->backend();
    Workspace& space = workspace(part_size, batch.length, training_pass());
    backend.zero(gradients_);
    backend.zero(stats_);
    // Loss weights are those of the whole step, so the parts' losses and gradients add up to it.
    for (int64_t first = 0; first < batch.batch; first += part_size) {
        if (batch.batch > part_size) {
            load_part(space, slice(batch, first, std::min(part_size, batch.batch - first)), completed_steps_, first);
        } else if (!is_loaded) {
            load_part(space, batch, completed_steps_, 0);
        }
        space.recordings.run(space.key(), [&] {
            model_->transformer().loss_and_gradients(stats_.slice_cols(Stats::loss, 1), gradients_,
                                                     model_->compute_weights(), space);
        });
    }
    const double rate = learning_rate(config_.learning_rate, completed_steps_);
    upload_schedule(rate);
    update_->run([this] { apply_gradients(); });

    meanwhile();
    // The one wait of a step.
    float values[Stats::columns];
    backend.download(values, stats_);
    const float loss = values[Stats::loss], norm = values[Stats::gradient_norm];
    StepStats stats{completed_steps_ + 1, loss, norm, rate, batch.batch * batch.length, 0, false};
    if (std::isfinite(loss) && std::isfinite(norm)) {
        updates_++;
        completed_steps_++;
        stats.updated = true;
    }
    stats.seconds = now() - begin;
    return stats;
}

// What the next update depends on, should the step be finite.
void Trainer::upload_schedule(double rate) {
    const double updates = double(updates_ + 1);
    float values[Schedule::columns];
    values[Schedule::learning_rate] = float(rate);
    values[Schedule::bias_correction1] = float(1 - std::pow(double(config_.optimizer.beta1), updates));
    values[Schedule::bias_correction2] = float(1 - std::pow(double(config_.optimizer.beta2), updates));
    // A young average must not remember the initial weights: the decay grows with the number of updates.
    values[Schedule::average_rest] = float(1 - std::min(config_.ema_decay, (1 + updates) / (10 + updates)));
    model_->backend().upload(schedule_, values);
}

// The gradient norm, AdamW, then the moving average.
void Trainer::apply_gradients() {
    Backend& backend = model_->backend();
    const OptimizerConfig& optimizer = config_.optimizer;
    AdamWConstants constants{optimizer.beta1, optimizer.beta2, optimizer.epsilon, optimizer.weight_decay,
                             optimizer.gradient_clip};
    backend.global_norm(stats_.slice_cols(Stats::gradient_norm, 1), gradients_);
    const int64_t decayed = model_->parameters().decayed_size;
    const bool rounds = backend.compute_dtype() != DType::f32;
    auto adamw = [&](int64_t first, int64_t count) {
        if (count == 0) return;
        auto part = [&](Tensor x) { return x.slice_cols(first, count); };
        if (rounds) {
            backend.adamw_rounding(part(model_->compute_weights()), part(model_->weights()), part(first_moment_),
                                   part(second_moment_), part(gradients_), stats_, schedule_, constants);
        } else {
            backend.adamw(part(model_->weights()), part(first_moment_), part(second_moment_), part(gradients_), stats_,
                          schedule_, constants);
        }
    };
    adamw(0, decayed);
    constants.weight_decay = 0;
    adamw(decayed, model_->parameters().size - decayed);

    if (ema_) backend.moving_average(ema_, model_->weights(), stats_, schedule_);
}

void Trainer::skip_to(int64_t step) {
    if (step < completed_steps_)
        fail(ErrorCode::config, "step is " + std::to_string(step) + "; accepted: at least the completed " +
                                    std::to_string(completed_steps_));
    completed_steps_ = step;
}

Evaluation Trainer::evaluate(const Dataset& dataset, const std::atomic<bool>& aborted) const {
    Backend& backend = model_->backend();
    const int64_t batches = config_.eval_batches;
    if (compute_ema_) backend.copy(compute_ema_, ema_);
    const Tensor weights = compute_ema_ ? compute_ema_ : ema_ ? ema_ : model_->compute_weights();
    Workspace& space = workspace(EVAL_BATCH_SIZE, config_.context_length, Pass::inference);
    double sum = 0, square_sum = 0;
    for (int64_t index = 0; index < batches; index++) {
        if (aborted) fail(ErrorCode::aborted, "the evaluation was aborted");
        const Batch batch = evaluation_batch(config_, model_->config(), dataset, index);
        space.load(batch);
        space.recordings.run(space.key(), [&] {
            backend.zero(evaluation_loss_);
            model_->transformer().forward(weights, space);
            model_->transformer().loss(evaluation_loss_, weights, space);
        });
        float loss = 0;
        backend.download(&loss, evaluation_loss_);
        sum += double(loss);
        square_sum += double(loss) * double(loss);
    }
    const double mean = sum / double(batches);
    // One batch says nothing about its own spread.
    const double variance =
        batches > 1 ? std::max(0.0, square_sum - double(batches) * mean * mean) / double(batches - 1) : NAN;
    return {mean, std::sqrt(variance / double(batches))};
}

size_t Trainer::bytes() const {
    return arena_.bytes() + (training_workspace_ ? training_workspace_->bytes() : 0) +
           (evaluation_workspace_ ? evaluation_workspace_->bytes() : 0);
}

}  // namespace dllm
