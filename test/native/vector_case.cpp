// Reading the test vectors: a configuration by its family, a batch by its objective.
#include "vector_case.h"

#include "mapped_file.h"
#include "test.h"
#include "trainer.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>

namespace dllm::test {
namespace {

JsonValue read_json(const std::string& path) {
    const MappedFile file(path, ErrorCode::data);
    const auto bytes = file.bytes();
    return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

ModelConfig gpt2_config(const JsonValue& json) {
    ModelConfig config{};
    config.naming = Naming::gpt2;
    config.layers = json.at("n_layer").integer(), config.width = json.at("n_embd").integer();
    config.heads = config.kv_heads = json.at("n_head").integer(), config.mlp_width = 4 * config.width;
    config.context_length = json.at("n_positions").integer();
    config.norm = {NormKind::layer, float(json.at("layer_norm_epsilon").number()), true};
    config.positions = PositionKind::learned, config.mlp = Activation::gelu;
    config.qkv_bias = config.attention_output_bias = config.mlp_bias = true;
    config.tied_head = json.at("tie_word_embeddings").boolean();
    return config;
}

ModelConfig rotary_config(const JsonValue& json, Naming naming) {
    ModelConfig config{};
    config.naming = naming;
    config.norm = {NormKind::rms, float(json.at("rms_norm_eps").number()), false};
    config.positions = PositionKind::rotary, config.rotary_theta = json.at("rope_theta").number();
    config.mlp = Activation::swiglu;
    return config;
}

ModelConfig llada_config(const JsonValue& json) {
    ModelConfig config = rotary_config(json, Naming::llada);
    config.layers = json.at("n_layers").integer(), config.width = json.at("d_model").integer();
    config.heads = json.at("n_heads").integer(), config.kv_heads = json.at("n_kv_heads").integer();
    config.mlp_width = json.at("mlp_hidden_size").integer();
    config.context_length = json.at("max_sequence_length").integer();
    config.tied_head = json.at("weight_tying").boolean();
    return config;
}

ModelConfig dream_config(const JsonValue& json) {
    ModelConfig config = rotary_config(json, Naming::llama);
    config.layers = json.at("num_hidden_layers").integer(), config.width = json.at("hidden_size").integer();
    config.heads = json.at("num_attention_heads").integer();
    config.kv_heads = json.at("num_key_value_heads").integer();
    config.mlp_width = json.at("intermediate_size").integer();
    config.context_length = json.at("max_position_embeddings").integer();
    config.qkv_bias = true, config.tied_head = json.at("tie_word_embeddings").boolean();
    return config;
}

ModelConfig config_of(const JsonValue& json, int64_t mask_token_id) {
    const std::string& type = json.at("model_type").string();
    ModelConfig config = type == "gpt2" ? gpt2_config(json) : type == "llada" ? llada_config(json) : dream_config(json);
    config.vocab_size = json.at("vocab_size").integer();
    config.mask_token_id = int32_t(mask_token_id);
    config.final_norm = config.norm, config.init_std = 0.02f, config.query_key_norm_eps = 1e-6f;
    return config;
}

// Each row of `length` values moved one place to the left; 0 at its end.
template <class Value>
std::vector<Value> shifted(const std::vector<Value>& values, int64_t length) {
    std::vector<Value> moved(values.size());
    for (size_t i = 0; i + 1 < values.size(); i++)
        if (int64_t(i + 1) % length != 0) moved[i] = values[i + 1];
    return moved;
}

const std::string FOLDER = std::string(DLLM_FIXTURES) + "/vectors/";

}  // namespace

JsonValue read_vector_json(const std::string& file) { return read_json(FOLDER + file); }

VectorCase::VectorCase(const std::string& name)
    : folder_(FOLDER + name), description_(read_json(folder_ + "/case.json")),
      tensors_(folder_ + "/tensors.safetensors") {
    const std::map<std::string, Batch (VectorCase::*)() const> builders{
        {"masked", &VectorCase::masked},
        {"next-token", &VectorCase::next_token},
        {"shifted-masked", &VectorCase::shifted_masked},
        {"block-diffusion", &VectorCase::block_diffusion},
    };
    input_ = std::invoke(builders.at(description_.at("objective").string()), *this);
}

std::shared_ptr<Model> VectorCase::model(std::unique_ptr<Backend> backend) const {
    const ModelConfig config =
        config_of(read_json(folder_ + "/config.json"), description_.at("mask_token_id").integer());
    return std::make_shared<Model>(std::move(backend), config, folder_ + "/model.safetensors");
}

const TensorEntry& VectorCase::entry(const std::string& name) const {
    const TensorEntry* found = tensors_.find(name);
    if (found == nullptr) fail(ErrorCode::data, tensors_.path() + " has no tensor " + name);
    return *found;
}

std::vector<float> VectorCase::floats(const std::string& name) const {
    const TensorEntry& tensor = entry(name);
    std::vector<float> values((tensor.end - tensor.begin) / sizeof(float));
    tensors_.read_f32(tensor, values.data());
    return values;
}

std::vector<int32_t> VectorCase::integers(const std::string& name) const {
    const TensorEntry& tensor = entry(name);
    std::vector<int32_t> values((tensor.end - tensor.begin) / sizeof(int32_t));
    std::memcpy(values.data(), tensors_.data(tensor), tensor.end - tensor.begin);
    return values;
}

// Sum of mask * nll / p_mask over all positions, divided by B * T.
Batch VectorCase::masked() const {
    Batch batch;
    batch.batch = description_.at("batch").integer(), batch.length = description_.at("length").integer();
    batch.tokens = integers("noisy_ids"), batch.targets = integers("clean_ids");
    const std::vector<int32_t> mask = integers("mask");
    const std::vector<float> times = floats("p_mask");
    for (size_t i = 0; i < mask.size(); i++)
        batch.loss_weights.push_back(float(mask[i]) / times[i / size_t(batch.length)] / float(mask.size()));
    return batch;
}

// Position i predicts token i + 1; mean over B * (T - 1) positions.
Batch VectorCase::next_token() const {
    Batch batch;
    batch.batch = description_.at("batch").integer(), batch.length = description_.at("length").integer();
    batch.tokens = integers("clean_ids"), batch.targets = shifted(batch.tokens, batch.length);
    const float weight = 1 / float(batch.batch * (batch.length - 1));
    for (size_t i = 0; i < batch.tokens.size(); i++)
        batch.loss_weights.push_back(int64_t(i + 1) % batch.length == 0 ? 0 : weight);
    batch.attention.kind = AttentionKind::causal;
    return batch;
}

// Position i predicts token i + 1; sum of mask * nll / t over the targets, divided by the number of masked ones.
Batch VectorCase::shifted_masked() const {
    Batch batch = masked();
    batch.targets = shifted(batch.targets, batch.length);
    const std::vector<int32_t> mask = shifted(integers("mask"), batch.length);
    const std::vector<float> times = floats("p_mask");
    const float count = float(std::count(mask.begin(), mask.end(), 1));
    for (size_t i = 0; i < mask.size(); i++)
        batch.loss_weights[i] = float(mask[i]) / times[i / size_t(batch.length)] / count;
    if (tensors_.find("attention_mask") != nullptr) {
        batch.attention.kind = AttentionKind::explicit_mask;
        for (const int32_t open : integers("attention_mask")) batch.attention.mask.push_back(uint8_t(open));
    }
    return batch;
}

// As masked, on the noisy half of noisy ++ clean, with one time per block.
Batch VectorCase::block_diffusion() const {
    const int64_t B = description_.at("batch").integer(), T = description_.at("length").integer();
    const int64_t block = description_.at("block_length").integer();
    const std::vector<int32_t> clean = integers("clean_ids"), noisy = integers("noisy_ids"), mask = integers("mask");
    const std::vector<float> times = floats("t_block");
    Batch batch;
    batch.batch = B, batch.length = 2 * T;
    batch.attention.kind = AttentionKind::block_diffusion, batch.attention.block_length = block;
    for (int64_t i = 0; i < B * 2 * T; i++) {
        const bool is_clean = i % (2 * T) >= T;
        const size_t at = size_t(i / (2 * T) * T + i % T);
        batch.tokens.push_back((is_clean ? clean : noisy)[at]);
        batch.targets.push_back(clean[at]);
        batch.loss_weights.push_back(is_clean ? 0 : float(mask[at]) / times[at / size_t(block)] / float(B * T));
    }
    return batch;
}

void check_model_vector(const VectorCase& vector, std::unique_ptr<Backend> backend, double logits, double gradients) {
    const std::shared_ptr<Model> model = vector.model(std::move(backend));
    check_close(model->forward(vector.input()), vector.floats("logits"), logits, "logits");
    const Model::LossAndGradients found = model->loss_and_gradients(vector.input());
    const double loss = vector.description().at("loss").number();
    check_close(double(found.loss) / loss, 1.0, logits, "loss against the vector's");
    for (const Parameter& parameter : model->parameters().parameters) {
        const auto begin = found.gradients.begin() + parameter.offset;
        check_close(std::vector<float>(begin, begin + parameter.count), vector.floats("grad." + parameter.name),
                    gradients, "gradient of " + parameter.name);
    }
}

void check_optimizer_vector(std::unique_ptr<Backend> backend, double tolerance) {
    const VectorCase vector("gpt2-adamw");
    const JsonValue& json = vector.description();
    const std::shared_ptr<Model> model = vector.model(std::move(backend));
    const auto number = [&](const char* key) { return json.at(key).number(); };
    TrainConfig config{};
    config.batch_size = vector.input().batch, config.gradient_accumulation = 1, config.eval_batches = 1;
    config.context_length = vector.input().length;
    config.objective = {ObjectiveKind::masked, 1e-3, 0};
    config.optimizer = {float(json.at("betas").array()[0].number()), float(json.at("betas").array()[1].number()),
                        float(number("epsilon")), float(number("weight_decay")), float(number("gradient_clip"))};
    config.learning_rate = {LearningRateSchedule::constant, number("learning_rate"), 0, 0, 0,
                            json.at("steps").integer()};
    Trainer trainer(model, config);
    for (size_t step = 0; step < size_t(json.at("steps").integer()); step++) {
        const StepStats stats = trainer.step(vector.input());
        check_close(stats.loss / json.at("losses").array()[step].number(), 1.0, tolerance, "loss against the vector's");
        check_close(stats.gradient_norm / json.at("gradient_norms").array()[step].number(), 1.0, tolerance,
                    "gradient norm against the vector's");
    }
    for (const Parameter& parameter : model->parameters().parameters)
        check_close(model->parameter(parameter.name), vector.floats("after." + parameter.name), tolerance,
                    parameter.name);
}

}  // namespace dllm::test
