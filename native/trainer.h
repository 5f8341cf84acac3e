// The training loop's one step, the validation bound, and the state that resuming needs.
#pragma once

#include "arena.h"
#include "batch.h"
#include "config.h"
#include "dataset.h"
#include "model.h"
#include "workspace.h"

#include <atomic>
#include <memory>
#include <string>

namespace dllm {

struct StepStats {
    int64_t step;          // number of this step, from 1
    double loss;           // before the update
    double gradient_norm;  // before clipping
    double learning_rate;
    int64_t tokens;
    double seconds;
};

struct Evaluation {
    double nll;             // nats per token
    double standard_error;  // of nll, over the evaluation's batches; NaN for a single batch
};

class Trainer {
public:
    // Throws ERR_CONFIG, ERR_OUT_OF_MEMORY. The model must not be used by two trainers at the same time.
    Trainer(std::shared_ptr<Model> model, const TrainConfig& config);

    // One optimizer step on sequences drawn from the dataset by (seed, step).
    StepStats step(const Dataset& dataset);
    // One optimizer step on a batch as it is; the objective is not used.
    StepStats step(const Batch& batch);
    // Validation bound: fixed windows, stratified times, no random length. Throws ERR_ABORTED once `aborted` is set.
    Evaluation evaluate(const Dataset& dataset, const std::atomic<bool>& aborted) const;

    int64_t completed_steps() const { return completed_steps_; }
    const TrainConfig& config() const { return config_; }
    Model& model() const { return *model_; }
    size_t bytes() const;

    // Moments and counters as .safetensors.
    void save(const std::string& path) const;
    // Throws ERR_CHECKPOINT when the file is not of this model.
    void load(const std::string& path);

private:
    StepStats update(const Batch& batch, double begin);
    int64_t part_size(int64_t batch) const;
    Workspace& workspace(int64_t batch, int64_t length, Pass pass) const;

    std::shared_ptr<Model> model_;
    TrainConfig config_;
    Arena arena_;
    Tensor gradients_, first_moment_, second_moment_, gradient_norm_;
    mutable std::unique_ptr<Workspace> training_workspace_, evaluation_workspace_;
    int64_t completed_steps_ = 0;
};

}  // namespace dllm
