// Model: see model.h.
#include "model.h"

#include "checkpoint.h"
#include "error.h"
#include "workspace.h"

namespace dllm {
namespace {

const ModelConfig& validated(const ModelConfig& config) {
    validate(config);
    return config;
}

}  // namespace

Model::Model(std::unique_ptr<Backend> backend, const ModelConfig& config)
    : backend_(std::move(backend)), config_(config), table_(make_parameter_table(config_)),
      arena_(Arena::lay_out(*backend_, [this](Arena& arena) { weights_ = arena.take(1, table_.size); })),
      transformer_(*backend_, config_, table_) {}

Model::Model(std::unique_ptr<Backend> backend, const ModelConfig& config, uint64_t seed)
    : Model(std::move(backend), validated(config)) {
    std::vector<float> values(static_cast<size_t>(table_.size));
    initialize_parameters(values.data(), table_, seed);
    backend_->upload(weights_, values.data());
}

Model::Model(std::unique_ptr<Backend> backend, const ModelConfig& config, const std::string& weights_path)
    : Model(std::move(backend), config, WeightsFile(weights_path, make_parameter_table(validated(config)), config)) {}

Model::Model(std::unique_ptr<Backend> backend, const ModelConfig& config, const WeightsFile& file)
    : Model(std::move(backend), config) {
    read(file);
}

void Model::read(const WeightsFile& file) {
    std::vector<float> values(static_cast<size_t>(table_.size));
    file.read(values.data(), table_);
    backend_->upload(weights_, values.data());
}

void Model::load(const std::string& path) { read(WeightsFile(path, table_, config_)); }

std::vector<float> Model::parameter(const std::string& name) const {
    const Parameter* parameter = table_.find(name);
    if (parameter == nullptr)
        fail(ErrorCode::config, "the model has no parameter \"" + name + "\"; parameters() lists their names");
    std::vector<float> values(static_cast<size_t>(parameter->count));
    backend_->download(values.data(), weights_.slice_cols(parameter->offset, parameter->count));
    return values;
}

std::vector<float> Model::forward(const Batch& batch) const {
    validate(batch, config_, false);
    Workspace workspace(*backend_, config_, batch.batch, batch.length, Pass::inference);
    workspace.load(batch);
    transformer_.forward(weights_, workspace);

    // Of block diffusion's noisy ++ clean only the noisy half is predicted.
    const int64_t T = batch.length, kept = batch.attention.kind == AttentionKind::block_diffusion ? T / 2 : T;
    std::vector<int32_t> rows;
    for (int64_t b = 0; b < batch.batch; b++)
        for (int64_t t = 0; t < kept; t++) rows.push_back(int32_t(b * T + t));
    std::vector<float> logits(rows.size() * size_t(config_.vocab_size));
    transformer_.logits(weights_, workspace, rows, [&](int64_t first, Tensor chunk) {
        backend_->download(logits.data() + first * config_.vocab_size, chunk);
    });
    return logits;
}

Model::LossAndGradients Model::loss_and_gradients(const Batch& batch) const {
    validate(batch, config_, true);
    Workspace workspace(*backend_, config_, batch.batch, batch.length, Pass::training);
    Tensor gradients;
    const Arena arena = Arena::lay_out(*backend_, [&](Arena& a) { gradients = a.take(1, table_.size); });
    backend_->zero(gradients);
    workspace.load(batch);
    transformer_.loss_and_gradients(gradients, weights_, workspace, weighted_rows(batch));

    LossAndGradients result{0, std::vector<float>(static_cast<size_t>(table_.size))};
    backend_->download(&result.loss, workspace.head.loss);
    backend_->download(result.gradients.data(), gradients);
    return result;
}

void Model::save(const std::string& path) const {
    std::vector<float> values(static_cast<size_t>(table_.size));
    backend_->download(values.data(), weights_);
    write_weights(path, values.data(), table_);
}

}  // namespace dllm
