// The transformer's layers, forward and backward. The head and the loss are in transformer_head.cpp.
#include "transformer.h"

#include <cmath>

namespace dllm {
namespace {

// The places of dropout: the embedding, then two in every layer.
constexpr uint32_t EMBEDDING_PLACE = 0;
constexpr uint32_t attention_place(int64_t l) { return uint32_t(2 * l + 1); }
constexpr uint32_t mlp_place(int64_t l) { return uint32_t(2 * l + 2); }

DropoutDraw draw_at(const Workspace& workspace, uint32_t place) {
    DropoutDraw draw = workspace.dropout;
    draw.place = place;
    return draw;
}

}  // namespace

Transformer::Transformer(Backend& backend, const ModelConfig& config, const ParameterTable& table)
    : backend_(backend), config_(config), table_(table) {
    if (config.positions != PositionKind::rotary) return;
    const int64_t P = config.context_length, D = config.head_width();
    std::vector<float> values(static_cast<size_t>(P * D));
    for (int64_t i = 0; i < D / 2; i++) {
        const double frequency = std::pow(config.rotary_theta, -2.0 * double(i) / double(D));
        for (int64_t position = 0; position < P; position++) {
            const double angle = double(position) * frequency;
            values[size_t(position * D + i)] = float(std::cos(angle));
            values[size_t(position * D + D / 2 + i)] = float(std::sin(angle));
        }
    }
    arena_ = Arena::lay_out(backend, [&](Arena& arena) { rotary_table_ = arena.take(P, D); });
    backend.upload(rotary_table_, values.data());
}

HeadShape Transformer::head_shape() const {
    return {config_.heads,          config_.kv_heads,           config_.head_width(),
            config_.query_key_norm, config_.query_key_norm_eps, config_.positions == PositionKind::rotary};
}

void Transformer::norm_forward(Tensor out, Tensor mean, Tensor rstd, Tensor x, Tensor weights, const Norm& norm) const {
    const Tensor weight = norm.weight.in(weights), bias = norm.bias.in(weights);
    if (norm.config.kind == NormKind::layer)
        backend_.layer_norm_forward(out, mean, rstd, x, weight, bias, norm.config.eps);
    else
        backend_.rms_norm_forward(out, rstd, x, weight, norm.config.eps);
}

void Transformer::norm_backward(Tensor dx, Tensor gradients, Tensor dout, Tensor x, Tensor mean, Tensor rstd,
                                Tensor weights, const Norm& norm) const {
    const Tensor dweight = norm.weight.in(gradients), dbias = norm.bias.in(gradients);
    const Tensor weight = norm.weight.in(weights);
    if (norm.config.kind == NormKind::layer)
        backend_.layer_norm_backward(dx, dweight, dbias, dout, x, weight, mean, rstd);
    else
        backend_.rms_norm_backward(dx, dweight, dout, x, weight, rstd);
}

void Transformer::residual_forward(Tensor out, Tensor x, Tensor weight, Tensor bias, Tensor residual,
                                   const DropoutDraw& draw) const {
    const bool drops = draw.probability > 0;
    backend_.matmul_forward(out, x, weight, bias, drops ? Tensor{} : residual, config_.weight_layout());
    if (drops) backend_.dropout(out, out, residual, draw);
}

// dnorm is free until the norm's own gradient is computed.
Tensor Transformer::residual_gradient(const BackwardState& d, const DropoutDraw& draw) const {
    if (draw.probability == 0) return d.dresidual;
    backend_.dropout(d.dnorm, d.dresidual, {}, draw);
    return d.dnorm;
}

DropoutDraw Transformer::mlp_draw(const Workspace& workspace, int64_t l) { return draw_at(workspace, mlp_place(l)); }

// mid = input + output(attention(qkv(norm(input))))
void Transformer::attention_forward(Tensor weights, Workspace& workspace, int64_t l) const {
    LayerState& s = workspace.layers[size_t(l)];
    const LayerSlots& w = table_.layers[size_t(l)];
    const WeightLayout layout = config_.weight_layout();
    const int64_t query = config_.heads * config_.head_width(), key = config_.kv_heads * config_.head_width();

    norm_forward(s.attention_norm, s.attention_mean, s.attention_rstd, s.input, weights,
                 {config_.norm, w.attention_norm, w.attention_norm_bias});
    backend_.matmul_forward(s.qkv, s.attention_norm, w.qkv.in(weights), w.qkv_bias.in(weights), {}, layout);
    const HeadShape shape = head_shape();
    if (shape.normalize || shape.rotate)
        backend_.query_key_forward(s.qkv, s.query_key_rstd, workspace.positions, rotary_table_, shape);
    backend_.attention_forward(s.attention, s.log_sum_exp, s.qkv.slice_cols(0, query), s.qkv.slice_cols(query, key),
                               s.qkv.slice_cols(query + key, key), workspace.attention);
    residual_forward(s.mid, s.attention, w.attention_output.in(weights), w.attention_output_bias.in(weights), s.input,
                     draw_at(workspace, attention_place(l)));
}

// hidden = activation(up(norm(mid)))
void Transformer::mlp_hidden_forward(Tensor weights, const LayerState& s, int64_t l) const {
    const LayerSlots& w = table_.layers[size_t(l)];

    norm_forward(s.mlp_norm, s.mlp_mean, s.mlp_rstd, s.mid, weights, {config_.norm, w.mlp_norm, w.mlp_norm_bias});
    backend_.matmul_activation_forward(s.mlp_hidden, s.mlp_pre, s.mlp_norm, w.mlp_in.in(weights),
                                       w.mlp_in_bias.in(weights), config_.mlp, config_.weight_layout());
}

// out = mid + down(hidden)
void Transformer::mlp_forward(Tensor out, Tensor weights, const LayerState& s, int64_t l,
                              const DropoutDraw& draw) const {
    const LayerSlots& w = table_.layers[size_t(l)];
    mlp_hidden_forward(weights, s, l);
    residual_forward(out, s.mlp_hidden, w.mlp_out.in(weights), w.mlp_out_bias.in(weights), s.mid, draw);
}

void Transformer::forward(Tensor weights, Workspace& workspace) const {
    const Tensor embedding = workspace.layers.front().input;
    backend_.embedding_forward(embedding, workspace.tokens, workspace.positions, table_.token_embedding.in(weights),
                               table_.position_embedding.in(weights));
    if (workspace.dropout.probability > 0)
        backend_.dropout(embedding, embedding, {}, draw_at(workspace, EMBEDDING_PLACE));
    for (int64_t l = 0; l < config_.layers; l++) {
        attention_forward(weights, workspace, l);
        if (l + 1 == config_.layers) break;
        mlp_forward(workspace.layers[size_t(l + 1)].input, weights, workspace.layers[size_t(l)], l,
                    mlp_draw(workspace, l));
    }
}

// The lines of mlp_forward, bottom to top. dresidual arrives holding d out: the residual passes it through.
void Transformer::mlp_backward(Tensor gradients, Tensor weights, const LayerState& s, const BackwardState& d, int64_t l,
                               const DropoutDraw& draw) const {
    const LayerSlots& w = table_.layers[size_t(l)];
    const WeightLayout layout = config_.weight_layout();

    const Tensor dout = residual_gradient(d, draw);
    backend_.matmul_backward_weight(w.mlp_out.in(gradients), w.mlp_out_bias.in(gradients), s.mlp_hidden, dout, layout);
    backend_.matmul_activation_backward(d.dpre, d.dhidden, dout, w.mlp_out.in(weights), s.mlp_pre, config_.mlp, layout);
    backend_.matmul_backward_weight(w.mlp_in.in(gradients), w.mlp_in_bias.in(gradients), s.mlp_norm, d.dpre, layout);
    backend_.matmul_backward_input(d.dnorm, d.dpre, w.mlp_in.in(weights), layout);
    norm_backward(d.dresidual, gradients, d.dnorm, s.mid, s.mlp_mean, s.mlp_rstd, weights,
                  {config_.norm, w.mlp_norm, w.mlp_norm_bias});
}

void Transformer::attention_backward(Tensor gradients, Tensor weights, Workspace& workspace, int64_t l) const {
    const LayerState& s = workspace.layers[size_t(l)];
    const LayerSlots& w = table_.layers[size_t(l)];
    const BackwardState& d = workspace.backward;
    const WeightLayout layout = config_.weight_layout();
    const int64_t query = config_.heads * config_.head_width(), key = config_.kv_heads * config_.head_width();

    const Tensor dout = residual_gradient(d, draw_at(workspace, attention_place(l)));
    backend_.matmul_backward_weight(w.attention_output.in(gradients), w.attention_output_bias.in(gradients),
                                    s.attention, dout, layout);
    backend_.matmul_backward_input(d.dattention, dout, w.attention_output.in(weights), layout);
    backend_.attention_backward(d.dqkv.slice_cols(0, query), d.dqkv.slice_cols(query, key),
                                d.dqkv.slice_cols(query + key, key), d.dattention, s.qkv.slice_cols(0, query),
                                s.qkv.slice_cols(query, key), s.qkv.slice_cols(query + key, key), s.attention,
                                s.log_sum_exp, workspace.attention);
    const HeadShape shape = head_shape();
    if (shape.normalize || shape.rotate)
        backend_.query_key_backward(d.dqkv, s.qkv, s.query_key_rstd, workspace.positions, rotary_table_, shape);
    backend_.matmul_backward_weight(w.qkv.in(gradients), w.qkv_bias.in(gradients), s.attention_norm, d.dqkv, layout);
    backend_.matmul_backward_input(d.dnorm, d.dqkv, w.qkv.in(weights), layout);
    norm_backward(d.dresidual, gradients, d.dnorm, s.input, s.attention_mean, s.attention_rstd, weights,
                  {config_.norm, w.attention_norm, w.attention_norm_bias});
}

void Transformer::loss_and_gradients(Tensor loss, Tensor gradients, Tensor weights, Workspace& workspace) const {
    forward(weights, workspace);
    backend_.zero(workspace.backward.dresidual);
    for (int64_t first = 0; first < workspace.head_count; first += workspace.head_chunk) {
        HeadState chunk = workspace.head_rows(first);
        head_loss(loss, weights, workspace, chunk);
        head_backward(gradients, weights, workspace, chunk);
    }
    // The last layer's MLP went with the head, and its attention's state is still that of the forward pass.
    attention_backward(gradients, weights, workspace, config_.layers - 1);
    for (int64_t l = config_.layers - 2; l >= 0; l--) {
        const LayerState& s = workspace.layers[size_t(l)];
        if (workspace.recomputes()) {
            attention_forward(weights, workspace, l);
            mlp_hidden_forward(weights, s, l);
        }
        mlp_backward(gradients, weights, s, workspace.backward, l, mlp_draw(workspace, l));
        attention_backward(gradients, weights, workspace, l);
    }
    if (workspace.dropout.probability > 0)
        backend_.dropout(workspace.backward.dresidual, workspace.backward.dresidual, {},
                         draw_at(workspace, EMBEDDING_PLACE));
    backend_.embedding_backward(table_.token_embedding.in(gradients), table_.position_embedding.in(gradients),
                                workspace.backward.dresidual, workspace.tokens, workspace.positions);
}

}  // namespace dllm
