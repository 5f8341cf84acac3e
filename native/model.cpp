// Model: see model.h.
#include "model.h"

#include "checkpoint.h"
#include "error.h"
#include "half.h"
#include "workspace.h"

#include <algorithm>

namespace dllm {
namespace {

const ModelConfig& validated(const ModelConfig& config) {
    validate(config);
    return config;
}

// Contiguous values of either float type, widened.
void download_f32(Backend& backend, float* host, Tensor x) {
    if (x.dtype == DType::f32) return backend.download(host, x);
    std::vector<uint16_t> bits(static_cast<size_t>(x.count()));
    backend.download(bits.data(), x);
    std::transform(bits.begin(), bits.end(), host, widen_bf16);
}

}  // namespace

Model::Model(std::unique_ptr<Backend> backend, const ModelConfig& config)
    : backend_(std::move(backend)), config_(config), table_(make_parameter_table(config_)),
      arena_(Arena::lay_out(*backend_,
                            [this](Arena& arena) {
                                const DType compute = backend_->compute_dtype();
                                weights_ = arena.take(1, table_.size);
                                if (compute != DType::f32) compute_weights_ = arena.take(1, table_.size, compute);
                            })),
      transformer_(*backend_, config_, table_) {}

Model::Model(std::unique_ptr<Backend> backend, const ModelConfig& config, uint64_t seed)
    : Model(std::move(backend), validated(config)) {
    std::vector<float> values(static_cast<size_t>(table_.size));
    initialize_parameters(values.data(), table_, seed);
    upload(values);
}

Model::Model(std::unique_ptr<Backend> backend, const ModelConfig& config, const std::string& weights_path)
    : Model(std::move(backend), config, WeightsFile(weights_path, make_parameter_table(validated(config)), config)) {}

Model::Model(std::unique_ptr<Backend> backend, const ModelConfig& config, const WeightsFile& file)
    : Model(std::move(backend), config) {
    read(file);
}

void Model::upload(const std::vector<float>& values) {
    backend_->upload(weights_, values.data());
    round_weights();
}

void Model::round_weights() {
    if (compute_weights_) backend_->copy(compute_weights_, weights_);
}

void Model::read(const WeightsFile& file) {
    std::vector<float> values(static_cast<size_t>(table_.size));
    file.read(values.data(), table_);
    upload(values);
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
    transformer_.forward(compute_weights(), workspace);

    // Of block diffusion's noisy ++ clean only the noisy half is predicted.
    const int64_t T = batch.length, kept = batch.attention.kind == AttentionKind::block_diffusion ? T / 2 : T;
    std::vector<int32_t> rows;
    for (int64_t b = 0; b < batch.batch; b++)
        for (int64_t t = 0; t < kept; t++) rows.push_back(int32_t(b * T + t));
    workspace.select(rows);
    std::vector<float> logits(rows.size() * size_t(config_.vocab_size));
    transformer_.logits(compute_weights(), workspace, [&](int64_t first, Tensor chunk) {
        download_f32(*backend_, logits.data() + first * config_.vocab_size, chunk);
    });
    return logits;
}

Model::LossAndGradients Model::loss_and_gradients(const Batch& batch) const {
    validate(batch, config_, true);
    Workspace workspace(*backend_, config_, batch.batch, batch.length, Pass::training);
    Tensor gradients, loss;
    const Arena arena = Arena::lay_out(*backend_, [&](Arena& a) {
        gradients = a.take(1, table_.size);
        loss = a.take(1, 1);
    });
    backend_->zero(gradients);
    backend_->zero(loss);
    workspace.load(batch);
    transformer_.loss_and_gradients(loss, gradients, compute_weights(), workspace);

    LossAndGradients result{0, std::vector<float>(static_cast<size_t>(table_.size))};
    backend_->download(&result.loss, loss);
    backend_->download(result.gradients.data(), gradients);
    return result;
}

void Model::save(const std::string& path) const {
    std::vector<float> values(static_cast<size_t>(table_.size));
    backend_->download(values.data(), weights_);
    write_weights(path, values.data(), table_);
}

}  // namespace dllm
