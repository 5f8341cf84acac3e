// A model: its configuration, its parameters and the device that holds them.
#pragma once

#include "arena.h"
#include "backend.h"
#include "batch.h"
#include "config.h"
#include "parameters.h"
#include "transformer.h"

#include <memory>
#include <string>
#include <vector>

namespace dllm {

class WeightsFile;

class Model {
public:
    // Weights drawn from the seed. Throws ERR_CONFIG, ERR_OUT_OF_MEMORY.
    Model(std::unique_ptr<Backend> backend, const ModelConfig& config, uint64_t seed);
    // Weights read from a .safetensors file. Throws ERR_CHECKPOINT naming the file, the tensor and the rule it broke.
    Model(std::unique_ptr<Backend> backend, const ModelConfig& config, const std::string& weights_path);

    const ModelConfig& config() const { return config_; }
    const ParameterTable& parameters() const { return table_; }
    Backend& backend() const { return *backend_; }
    const Transformer& transformer() const { return transformer_; }
    // The float32 weights: what is trained and saved.
    Tensor weights() const { return weights_; }
    // What ops read: the weights themselves, or their copy in the backend's compute_dtype(). Whoever changes the
    // weights also rounds them.
    Tensor compute_weights() const { return compute_weights_ ? compute_weights_ : weights_; }
    void round_weights();
    // Bytes of device memory held by the weights.
    size_t bytes() const { return arena_.bytes(); }

    // One parameter's values in its checkpoint layout. Throws ERR_CONFIG for an unknown name.
    std::vector<float> parameter(const std::string& name) const;

    // Logits of every position, [B, T, V] (of the noisy half, [B, T/2, V], for block_diffusion).
    std::vector<float> forward(const Batch& batch) const;

    struct LossAndGradients {
        float loss;
        std::vector<float> gradients;  // laid out as the parameter table says
    };
    LossAndGradients loss_and_gradients(const Batch& batch) const;

    // Replaces the weights by those of a file. Throws ERR_CHECKPOINT, and then keeps the old ones.
    void load(const std::string& path);
    // Writes the weights as .safetensors under the family's names.
    void save(const std::string& path) const;

private:
    // Memory only; the weights are not set.
    Model(std::unique_ptr<Backend> backend, const ModelConfig& config);
    Model(std::unique_ptr<Backend> backend, const ModelConfig& config, const WeightsFile& file);
    void read(const WeightsFile& file);
    void upload(const std::vector<float>& values);

    std::unique_ptr<Backend> backend_;
    ModelConfig config_;
    ParameterTable table_;
    Tensor weights_, compute_weights_;  // views of arena_, set while that is built
    Arena arena_;
    Transformer transformer_;
};

}  // namespace dllm
