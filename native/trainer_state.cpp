// What resuming a Trainer needs: moments, counters, plans, and the moving average of the weights.
#include "checkpoint.h"
#include "error.h"
#include "trainer.h"

#include <vector>

namespace dllm {

void Trainer::save(const std::string& path) const {
    const size_t size = size_t(model_->parameters().size);
    std::vector<float> first(size), second(size);
    model_->backend().download(first.data(), first_moment_);
    model_->backend().download(second.data(), second_moment_);
    write_trainer_state(path, first.data(), second.data(), {completed_steps_, updates_, model_->backend().plans()},
                        model_->parameters());
}

std::string Trainer::load(const std::string& path) {
    const size_t size = size_t(model_->parameters().size);
    std::vector<float> first(size), second(size);
    const TrainerRecord record = read_trainer_state(first.data(), second.data(), path, model_->parameters());
    completed_steps_ = record.completed_steps, updates_ = record.updates;
    model_->backend().upload(first_moment_, first.data());
    model_->backend().upload(second_moment_, second.data());
    return model_->backend().restore_plans(record.plans);
}

void Trainer::require_ema() const {
    if (!ema_) fail(ErrorCode::config, "emaDecay is 0, so the trainer keeps no average of the weights");
}

void Trainer::save_ema(const std::string& path) const {
    require_ema();
    std::vector<float> values(size_t(model_->parameters().size));
    model_->backend().download(values.data(), ema_);
    write_weights(path, values.data(), model_->parameters());
}

void Trainer::load_ema(const std::string& path) {
    require_ema();
    std::vector<float> values(size_t(model_->parameters().size));
    WeightsFile(path, model_->parameters(), model_->config()).read(values.data(), model_->parameters());
    model_->backend().upload(ema_, values.data());
}

}  // namespace dllm
