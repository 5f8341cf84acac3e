// Workspace: see workspace.h.
#include "workspace.h"

#include "error.h"

#include <algorithm>
#include <string>

namespace dllm {
namespace {

std::vector<int32_t> expand_positions(const Batch& batch) {
    const int64_t B = batch.batch, T = batch.length;
    if (int64_t(batch.positions.size()) == B * T && B != 1) return batch.positions;
    const int64_t period = batch.attention.kind == AttentionKind::block_diffusion ? T / 2 : T;
    std::vector<int32_t> positions(static_cast<size_t>(B * T));
    for (int64_t i = 0; i < B * T; i++)
        positions[size_t(i)] = batch.positions.empty() ? int32_t(i % T % period) : batch.positions[size_t(i % T)];
    return positions;
}

}  // namespace

Workspace::Workspace(Backend& backend, const ModelConfig& config, int64_t max_batch, int64_t max_length, Pass pass)
    : backend_(backend), config_(config), max_batch_(max_batch), max_rows_(max_batch * max_length), pass_(pass) {
    head_chunk = std::clamp<int64_t>(MAX_LOGITS / config.vocab_size, 1, max_rows_);
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

    tokens = arena.take(1, N, DType::i32);
    positions = arena.take(1, N, DType::i32);
    lengths_ = arena.take(1, max_batch_, DType::i32);
    dropout_seed_ = arena.take(1, 3, DType::i32);
    output = arena.take(N, C, compute);
    layers.clear();
    for (int64_t l = 0; l < config_.layers; l++) {
        if (pass_ == Pass::training || (training && l == 0)) {
            layers.push_back(layer_state(arena.take(N, C, compute)));
        } else if (training) {
            layers.push_back(layers.front());
            layers.back().input = arena.take(N, C, compute);
        } else {
            layers.push_back(l == 0 ? layer_state(output) : layers.front());
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
    head.rows = arena.take(1, head_chunk, DType::i32);
    head.targets = arena.take(1, head_chunk, DType::i32);
    head.weights = arena.take(1, head_chunk);
    head.residual = arena.take(head_chunk, C, compute);
    head.norm = arena.take(head_chunk, C, compute);
    head.mean = arena.take(1, head_chunk);
    head.rstd = arena.take(1, head_chunk);
    head.logits = arena.take(head_chunk, config_.vocab_size, compute);
    if (training) {
        head.dnorm = arena.take(head_chunk, C, compute);
        head.dresidual = arena.take(head_chunk, C, compute);
    }
}

void Workspace::shape(int64_t batch, int64_t length) {
    const int64_t N = batch * length;
    auto rows = [N](Tensor& tensor) { tensor.rows = tensor.data != nullptr ? N : 0; };
    auto cols = [N](Tensor& tensor) { tensor.cols = tensor.stride = N; };
    cols(tokens), cols(positions), rows(output);
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

void Workspace::load(const Batch& batch, const StepDropout& step_dropout) {
    if (!fits(batch.batch, batch.length)) fail(ErrorCode::native, "a batch is larger than its workspace");
    shape(batch.batch, batch.length);
    const int32_t seed[] = {int32_t(step_dropout.seed), int32_t(step_dropout.seed >> 32),
                            int32_t(step_dropout.first_sequence)};
    if (step_dropout.probability > 0) backend_.upload(dropout_seed_, seed);
    dropout = {step_dropout.probability, dropout_seed_, batch.length, 0};
    backend_.upload(tokens, batch.tokens.data());
    backend_.upload(positions, expand_positions(batch).data());

    const TileMap map = make_tile_map(batch.attention, batch.batch, batch.length, batch.length, 0);
    mask_arena_ = {};
    Tensor tiles, bits;
    mask_arena_ = Arena::lay_out(backend_, [&](Arena& arena) {
        tiles = arena.take(map.masks * map.query_tiles, map.key_tiles, DType::i32);
        bits = map.bits.empty() ? Tensor{}
                                : arena.take(int64_t(map.bits.size()) / TileMap::TILE, 2 * TileMap::TILE, DType::i32);
    });
    backend_.upload(tiles, map.tiles.data());
    if (bits) backend_.upload(bits, map.bits.data());

    Tensor lengths;
    if (!batch.lengths.empty()) {
        lengths = lengths_.slice_cols(0, batch.batch);
        lengths.stride = batch.batch;
        backend_.upload(lengths, batch.lengths.data());
    }
    attention = {batch.batch,          batch.length, batch.length, 0,    config_.heads, config_.kv_heads,
                 config_.head_width(), map.masks,    tiles,        bits, lengths};
}

}  // namespace dllm
