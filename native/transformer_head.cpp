// The head: rows that count are gathered, normed, multiplied with the head and scored, in chunks. Rows without weight
// cost nothing (the 1/t-weighted loss of a masked-diffusion model needs about half of all rows).
#include "transformer.h"

#include <algorithm>

namespace dllm {

WeightedRows weighted_rows(const Batch& batch) {
    WeightedRows result;
    for (size_t i = 0; i < batch.loss_weights.size(); i++) {
        if (batch.loss_weights[i] == 0) continue;
        result.rows.push_back(int32_t(i));
        result.targets.push_back(batch.targets[i]);
        result.weights.push_back(batch.loss_weights[i]);
    }
    return result;
}

void Transformer::head_forward(Tensor weights, Workspace& workspace, HeadState& chunk,
                               std::span<const int32_t> rows) const {
    const int64_t M = int64_t(rows.size());
    const HeadState& whole = workspace.head;
    auto row = [M](Tensor tensor) { return Tensor{tensor.data, 1, M, M, tensor.dtype}; };
    chunk = whole;
    chunk.rows = row(whole.rows), chunk.targets = row(whole.targets), chunk.weights = row(whole.weights);
    chunk.mean = row(whole.mean), chunk.rstd = row(whole.rstd);
    for (Tensor* tensor : {&chunk.residual, &chunk.norm, &chunk.logits, &chunk.dnorm, &chunk.dresidual})
        tensor->rows = tensor->data != nullptr ? M : 0;

    backend_.upload(chunk.rows, rows.data());
    backend_.gather_rows(chunk.residual, workspace.output, chunk.rows);
    if (config_.final_norm)
        norm_forward(chunk.norm, chunk.mean, chunk.rstd, chunk.residual, weights,
                     {*config_.final_norm, table_.final_norm, table_.final_norm_bias});
    else
        chunk.norm = chunk.residual;
    backend_.matmul_forward(chunk.logits, chunk.norm, table_.head.in(weights), table_.head_bias.in(weights), {},
                            WeightLayout::out_in);
}

void Transformer::head_loss(Tensor loss, Tensor weights, Workspace& workspace, HeadState& chunk,
                            const WeightedRows& rows, int64_t first) const {
    const size_t begin = size_t(first), M = std::min(size_t(workspace.head_chunk), rows.rows.size() - begin);
    head_forward(weights, workspace, chunk, std::span(rows.rows).subspan(begin, M));
    backend_.upload(chunk.targets, rows.targets.data() + begin);
    backend_.upload(chunk.weights, rows.weights.data() + begin);
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
    backend_.scatter_rows(workspace.backward.dresidual, dresidual, chunk.rows);
}

void Transformer::loss(Tensor loss, Tensor weights, Workspace& workspace, const WeightedRows& rows) const {
    for (int64_t first = 0; first < int64_t(rows.rows.size()); first += workspace.head_chunk) {
        HeadState chunk;
        head_loss(loss, weights, workspace, chunk, rows, first);
    }
}

void Transformer::logits(Tensor weights, Workspace& workspace, std::span<const int32_t> rows,
                         const std::function<void(int64_t first, Tensor logits)>& consume) const {
    for (size_t first = 0; first < rows.size(); first += size_t(workspace.head_chunk)) {
        HeadState chunk;
        head_forward(weights, workspace, chunk,
                     rows.subspan(first, std::min(size_t(workspace.head_chunk), rows.size() - first)));
        consume(int64_t(first), chunk.logits);
    }
}

}  // namespace dllm
