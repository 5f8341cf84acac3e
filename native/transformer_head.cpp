// The head: the rows that are predicted are gathered before the last layer's MLP, which then runs on them alone, as do
// the final norm, the product with the head and the score, in chunks. Rows without weight cost nothing there (the
// 1/t-weighted loss of a masked-diffusion model needs about half of all rows).
#include "transformer.h"

namespace dllm {

// The rows' places in the batch, for they decide what is dropped.
DropoutDraw Transformer::head_draw(const Workspace& workspace, const HeadState& chunk) const {
    DropoutDraw draw = mlp_draw(workspace, config_.layers - 1);
    draw.rows = chunk.rows;
    return draw;
}

void Transformer::head_forward(Tensor weights, Workspace& workspace, HeadState& chunk) const {
    backend_.gather_rows(chunk.layer.mid, workspace.layers.back().mid, chunk.rows);
    mlp_forward(chunk.residual, weights, chunk.layer, config_.layers - 1, head_draw(workspace, chunk));
    if (config_.final_norm)
        norm_forward(chunk.norm, chunk.mean, chunk.rstd, chunk.residual, weights,
                     {*config_.final_norm, table_.final_norm, table_.final_norm_bias});
    else
        chunk.norm = chunk.residual;
    backend_.matmul_forward(chunk.logits, chunk.norm, table_.head.in(weights), table_.head_bias.in(weights), {},
                            WeightLayout::out_in);
}

void Transformer::head_loss(Tensor loss, Tensor weights, Workspace& workspace, HeadState& chunk) const {
    head_forward(weights, workspace, chunk);
    backend_.cross_entropy(loss, chunk.logits, chunk.targets, chunk.weights);
}

// chunk.logits holds the gradient of the logits.
void Transformer::head_backward(Tensor gradients, Tensor weights, Workspace& workspace, HeadState& chunk) const {
    backend_.matmul_backward_weight(table_.head.in(gradients), table_.head_bias.in(gradients), chunk.norm, chunk.logits,
                                    WeightLayout::out_in);
    backend_.matmul_backward_input(chunk.dnorm, chunk.logits, table_.head.in(weights), WeightLayout::out_in);
    Tensor dresidual = chunk.dnorm;
    if (config_.final_norm) {
        dresidual = chunk.dresidual;
        backend_.zero(dresidual);
        norm_backward(dresidual, gradients, chunk.dnorm, chunk.residual, chunk.mean, chunk.rstd, weights,
                      {*config_.final_norm, table_.final_norm, table_.final_norm_bias});
    }
    chunk.backward.dresidual = dresidual;
    mlp_backward(gradients, weights, chunk.layer, chunk.backward, config_.layers - 1, head_draw(workspace, chunk));
    backend_.scatter_rows(workspace.backward.dresidual, dresidual, chunk.rows);
}

void Transformer::loss(Tensor loss, Tensor weights, Workspace& workspace) const {
    for (int64_t first = 0; first < workspace.head_count; first += workspace.head_chunk) {
        HeadState chunk = workspace.head_rows(first);
        head_loss(loss, weights, workspace, chunk);
    }
}

void Transformer::logits(Tensor weights, Workspace& workspace,
                         const std::function<void(int64_t first, Tensor logits)>& consume) const {
    for (int64_t first = 0; first < workspace.head_count; first += workspace.head_chunk) {
        HeadState chunk = workspace.head_rows(first);
        head_forward(weights, workspace, chunk);
        consume(first, chunk.logits);
    }
}

}  // namespace dllm
