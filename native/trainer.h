// The training loop's one step, the validation bound, and the state that resuming needs.
#pragma once

#include "arena.h"
#include "batch.h"
#include "config.h"
#include "dataset.h"
#include "model.h"
#include "workspace.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace dllm {

struct StepStats {
    int64_t step;          // number of this step, from 1
    double loss;           // before the update
    double gradient_norm;  // before clipping
    double learning_rate;
    int64_t tokens;
    double seconds;
    bool updated;  // false: loss or gradient was not finite, so nothing has changed and the step is not completed
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
    // Validation bound, of the average where one is kept: fixed windows, stratified times, no random length. Throws
    // ERR_ABORTED once `aborted` is set.
    Evaluation evaluate(const Dataset& dataset, const std::atomic<bool>& aborted) const;

    // Counts the steps up to this one as completed without taking them. Throws ERR_CONFIG when that would go back.
    void skip_to(int64_t step);

    int64_t completed_steps() const { return completed_steps_; }
    const TrainConfig& config() const { return config_; }
    Model& model() const { return *model_; }
    size_t bytes() const;
    // How the steps and evaluations on the model's device were run.
    RecordingCounts recording_counts() const { return model_->backend().recording_counts(); }

    // Moments, counters and the backend's plans as .safetensors.
    void save(const std::string& path) const;
    // The moving average of the weights, under the names of the weights. Throws ERR_CONFIG when none is kept.
    void save_ema(const std::string& path) const;
    // Both throw ERR_CHECKPOINT when the file is not of this model, and then change nothing. The first returns why the
    // backend cannot use the plans, so that bits may differ from those of an uninterrupted run; empty if it can.
    std::string load(const std::string& path);
    void load_ema(const std::string& path);

private:
    struct PreparedBatch {
        uint64_t dataset;  // its id
        int64_t step;
        Batch batch;
        bool is_loaded;  // into the workspace, too
    };

    // meanwhile() is called while the device works.
    StepStats update(const Batch& batch, bool is_loaded, int64_t part_size, double begin,
                     const std::function<void()>& meanwhile);
    PreparedBatch take_batch(const Dataset& dataset);
    void prepare_batch(const Dataset& dataset, int64_t step, int64_t part_size);
    void load_part(Workspace& space, const Batch& part, int64_t step, int64_t first_sequence) const;
    int64_t part_size(int64_t batch, int64_t length) const;
    void upload_schedule(double rate);
    void apply_gradients();
    void require_ema() const;
    Pass training_pass() const;
    Workspace& workspace(int64_t batch, int64_t length, Pass pass) const;

    std::shared_ptr<Model> model_;
    TrainConfig config_;
    Arena arena_;
    Tensor gradients_, first_moment_, second_moment_;
    Tensor stats_, schedule_;  // of the step, as Stats and Schedule say
    Tensor evaluation_loss_;   // (1, 1)
    Tensor ema_;               // of the weights; absent when no average is kept
    Tensor compute_ema_;       // its copy for ops, made when it is evaluated; absent when they read float32
    mutable std::unique_ptr<Workspace> training_workspace_, evaluation_workspace_;
    std::unique_ptr<Recording> update_;  // apply_gradients()
    std::optional<PreparedBatch> prepared_;
    int64_t completed_steps_ = 0;
    int64_t updates_ = 0;  // completed steps that were not skipped
};

}  // namespace dllm
