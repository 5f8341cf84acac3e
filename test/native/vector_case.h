// Test vectors of test/fixtures/vectors, computed in float64 by an independent implementation: a small checkpoint, an
// input, and the logits, loss and gradients that it gives.
#pragma once

#include "batch.h"
#include "json_value.h"
#include "model.h"
#include "safetensors.h"

#include <memory>
#include <string>
#include <vector>

namespace dllm::test {

constexpr const char* MODEL_VECTORS[] = {"gpt2-masked",          "gpt2-causal",  "gpt2-shifted-annealed",
                                         "gpt2-block-diffusion", "llada-masked", "dream-shifted"};

class VectorCase {
public:
    explicit VectorCase(const std::string& name);

    std::shared_ptr<Model> model(std::unique_ptr<Backend> backend) const;
    const Batch& input() const { return input_; }
    const JsonValue& description() const { return description_; }
    // A float tensor of the file. Throws ERR_DATA when there is none of that name.
    std::vector<float> floats(const std::string& name) const;

private:
    std::vector<int32_t> integers(const std::string& name) const;
    const TensorEntry& entry(const std::string& name) const;
    Batch masked() const;
    Batch next_token() const;
    Batch shifted_masked() const;
    Batch block_diffusion() const;

    std::string folder_;
    JsonValue description_;
    SafetensorsFile tensors_;
    Batch input_;
};

// Logits and loss within `logits` of the vector's, every gradient within `gradients` (relative Frobenius error).
void check_model_vector(const VectorCase& vector, std::unique_ptr<Backend> backend, double logits, double gradients);

// A JSON file of the vectors, by its path in their folder.
JsonValue read_vector_json(const std::string& file);

// Every canvas of the decoding traces of LLaDA's sampler, token for token.
void check_decoding_traces(std::unique_ptr<Backend> backend);

// Losses, gradient norms and weights of three AdamW steps, within the tolerance.
void check_optimizer_vector(std::unique_ptr<Backend> backend, double tolerance);

}  // namespace dllm::test
