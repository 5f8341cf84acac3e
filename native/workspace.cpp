// Workspace: see workspace.h.
#include "workspace.h"

#include <algorithm>
#include <bit>

namespace dllm {

Workspace::Workspace(Backend& backend, const ModelConfig& config, int64_t max_batch, int64_t max_length, Pass pass)
    : recordings(backend), backend_(backend), config_(config), max_batch_(max_batch), max_rows_(max_batch * max_length),
      pass_(pass) {
    int64_t most_rows = backend.logits_per_pass() / config.vocab_size;
    if (most_rows > backend.row_bucket()) most_rows -= most_rows % backend.row_bucket();
    head_chunk = std::clamp<int64_t>(most_rows, 1, max_rows_);
    arena_ = Arena::lay_out(backend, [this](Arena& arena) { lay_out(arena); });
}

void Workspace::lay_out(Arena& arena) {
    const int64_t N = max_rows_, C = config_.width, F = config_.mlp_width, D = config_.head_width();
    const int64_t pre = config_.mlp == Activation::swiglu ? 2 * F : F;
    const bool training = pass_ != Pass::inference;
    const DType compute = backend_.compute_dtype();
    auto layer_state = [&](Tensor input) {
        LayerState state;
        state.input = input;
        state.attention_norm = arena.take(N, C, compute);
        state.attention_mean = arena.take(1, N);
        state.attention_rstd = arena.take(1, N);
        state.qkv = arena.take(N, config_.qkv_width(), compute);
        if (config_.query_key_norm) state.query_key_rstd = arena.take(N, config_.heads + config_.kv_heads);
        state.attention = arena.take(N, config_.heads * D, compute);
        state.log_sum_exp = arena.take(config_.heads, N);
        state.mid = training ? arena.take(N, C, compute) : input;
        state.mlp_norm = arena.take(N, C, compute);
        state.mlp_mean = arena.take(1, N);
        state.mlp_rstd = arena.take(1, N);
        state.mlp_pre = arena.take(N, pre, compute);
        state.mlp_hidden = arena.take(N, F, compute);
        return state;
    };

    // Tokens, positions, the head's rows, targets and weights; lengths; the seed of dropout.
    inputs_ = arena.take(1, 5 * staged_size(N) + staged_size(max_batch_) + staged_size(3), DType::i32);
    layers.clear();
    for (int64_t l = 0; l < config_.layers; l++) {
        if (pass_ == Pass::training || (training && l == 0)) {
            layers.push_back(layer_state(arena.take(N, C, compute)));
        } else if (training) {
            layers.push_back(layers.front());
            layers.back().input = arena.take(N, C, compute);
        } else {
            layers.push_back(l == 0 ? layer_state(arena.take(N, C, compute)) : layers.front());
        }
    }
    if (training) {
        auto gradient = [&](int64_t cols) { return arena.take(N, cols, compute); };
        backward.dresidual = gradient(C);
        backward.dnorm = gradient(C);
        backward.dqkv = gradient(config_.qkv_width());
        backward.dattention = gradient(config_.heads * D);
        backward.dpre = gradient(pre);
        backward.dhidden = gradient(F);
    }
    head_.residual = arena.take(head_chunk, C, compute);
    head_.layer.mid = training ? arena.take(head_chunk, C, compute) : head_.residual;
    head_.norm = arena.take(head_chunk, C, compute);
    head_.mean = arena.take(1, head_chunk);
    head_.rstd = arena.take(1, head_chunk);
    head_.logits = arena.take(head_chunk, config_.vocab_size, compute, backend_.row_alignment());
    if (training) {
        head_.dnorm = arena.take(head_chunk, C, compute);
        head_.dresidual = arena.take(head_chunk, C, compute);
    }
}

void Workspace::shape(int64_t batch, int64_t length) {
    const int64_t N = batch * length;
    auto rows = [N](Tensor& tensor) { tensor.rows = tensor.data != nullptr ? N : 0; };
    auto cols = [N](Tensor& tensor) { tensor.cols = tensor.stride = N; };
    for (LayerState& state : layers) {
        for (Tensor* tensor : {&state.input, &state.attention_norm, &state.qkv, &state.query_key_rstd, &state.attention,
                               &state.mid, &state.mlp_norm, &state.mlp_pre, &state.mlp_hidden})
            rows(*tensor);
        for (Tensor* tensor : {&state.attention_mean, &state.attention_rstd, &state.mlp_mean, &state.mlp_rstd})
            cols(*tensor);
        state.log_sum_exp = state.log_sum_exp.reshape(batch * config_.heads, length);
    }
    for (Tensor* tensor : {&backward.dresidual, &backward.dnorm, &backward.dqkv, &backward.dattention, &backward.dpre,
                           &backward.dhidden})
        rows(*tensor);
}

HeadState Workspace::head_rows(int64_t first) const {
    const int64_t M = std::min(head_chunk, head_count - first);
    HeadState chunk = head_;
    for (Tensor* tensor : {&chunk.rows, &chunk.targets, &chunk.weights})
        if (*tensor) *tensor = tensor->slice_cols(first, M);
    chunk.layer = layers.back();
    chunk.layer.mid = head_.layer.mid;
    chunk.backward = backward;
    chunk.backward.dresidual = head_.dresidual;
    for (Tensor* tensor : {&chunk.mean, &chunk.rstd, &chunk.layer.mlp_mean, &chunk.layer.mlp_rstd})
        *tensor = tensor->reshape(1, M);
    for (Tensor* tensor :
         {&chunk.residual, &chunk.norm, &chunk.logits, &chunk.dnorm, &chunk.dresidual, &chunk.layer.mid,
          &chunk.layer.mlp_norm, &chunk.layer.mlp_pre, &chunk.layer.mlp_hidden, &chunk.backward.dresidual,
          &chunk.backward.dnorm, &chunk.backward.dpre, &chunk.backward.dhidden})
        tensor->rows = *tensor ? M : 0;
    return chunk;
}

std::vector<int64_t> Workspace::key() const {
    const auto address = [](const Tensor& x) { return int64_t(reinterpret_cast<intptr_t>(x.data)); };
    return {attention.batch,
            attention.query_length,
            attention.masks,
            head_count,
            address(attention.tiles),
            address(attention.bits),
            address(attention.lengths),
            address(dropout.seed),
            std::bit_cast<int32_t>(dropout.probability)};
}

}  // namespace dllm
