// A small training run: its data, its configuration, a batch as a caller would build it.
#pragma once

#include "dataset.h"
#include "model.h"
#include "trainer.h"

#include <unistd.h>
#include <filesystem>
#include <string>
#include <vector>

namespace dllm {

// A folder of its own, removed at the end of the test.
struct TemporaryFolder {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("dllm-test-" + std::to_string(getpid()) + "-training");
    TemporaryFolder() { std::filesystem::create_directories(path); }
    ~TemporaryFolder() { std::filesystem::remove_all(path); }
    std::string file(const char* name) const { return (path / name).string(); }
};

inline Batch masked_batch(const ModelConfig& config, int64_t batch_size, int64_t length) {
    Batch batch;
    batch.batch = batch_size, batch.length = length;
    for (int64_t i = 0; i < batch_size * length; i++) {
        const bool is_masked = i % 3 != 0;
        const int32_t clean = int32_t(i * 7 % 18);
        batch.tokens.push_back(is_masked ? config.mask_token_id : clean);
        batch.targets.push_back(clean);
        batch.loss_weights.push_back(is_masked ? 0.01f * float(1 + i % 5) : 0.0f);
    }
    return batch;
}

inline TrainConfig train_config() {
    TrainConfig config{};
    config.batch_size = 4, config.context_length = 16, config.seed = 1, config.eval_batches = 2;
    config.objective = {ObjectiveKind::masked, 1e-3, 0.1};
    config.optimizer = {0.9f, 0.99f, 1e-8f, 0.1f, 1.0f};
    config.gradient_accumulation = 1;
    config.learning_rate = {LearningRateSchedule::cosine, 3e-3, 3e-4, 2, 2, 20};
    return config;
}

inline Dataset periodic_dataset() {
    std::vector<int32_t> tokens(400);
    for (size_t i = 0; i < tokens.size(); i++) tokens[i] = int32_t(i % 6);
    return Dataset(std::move(tokens));
}

inline std::vector<float> all_weights(const Model& model) {
    std::vector<float> values(static_cast<size_t>(model.parameters().size));
    model.backend().download(values.data(), model.weights());
    return values;
}

inline std::vector<float> download(const Model& model, Tensor tensor) {
    std::vector<float> values(static_cast<size_t>(tensor.count()));
    model.backend().download(values.data(), tensor);
    return values;
}

}  // namespace dllm
