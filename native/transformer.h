// One transformer for every family: its forward pass, its backward pass upside down, and the weighted loss.
#pragma once

#include "arena.h"
#include "backend.h"
#include "config.h"
#include "parameters.h"
#include "workspace.h"

#include <functional>
#include <span>
#include <vector>

namespace dllm {

class Transformer {
public:
    Transformer(Backend& backend, const ModelConfig& config, const ParameterTable& table);

    // Runs all layers on the batch loaded in the workspace, up to the last one's MLP: that, the final norm and the head
    // run on the rows that are predicted only, in the functions below.
    void forward(Tensor weights, Workspace& workspace) const;

    // Logits of the workspace's selected rows after forward(), chunk by chunk: consume(first, logits (M, V)) sees rows
    // [first, first + M) of them.
    void logits(Tensor weights, Workspace& workspace,
                const std::function<void(int64_t first, Tensor logits)>& consume) const;

    // After forward(): loss (1, 1) += sum over rows of weight * nll(row -> target).
    void loss(Tensor loss, Tensor weights, Workspace& workspace) const;

    // forward(), loss() and the whole backward pass: gradients += d loss / d weights, laid out like the weights.
    // The workspace must be one for training.
    void loss_and_gradients(Tensor loss, Tensor gradients, Tensor weights, Workspace& workspace) const;

private:
    struct Norm {
        const NormConfig& config;
        Slot weight, bias;
    };

    void norm_forward(Tensor out, Tensor mean, Tensor rstd, Tensor x, Tensor weights, const Norm& norm) const;
    void norm_backward(Tensor dx, Tensor gradients, Tensor dout, Tensor x, Tensor mean, Tensor rstd, Tensor weights,
                       const Norm& norm) const;

    // out = dropout(x W + bias) + residual
    void residual_forward(Tensor out, Tensor x, Tensor weight, Tensor bias, Tensor residual,
                          const DropoutDraw& draw) const;
    // The gradient of x W + bias, of dresidual.
    Tensor residual_gradient(const BackwardState& d, const DropoutDraw& draw) const;
    static DropoutDraw mlp_draw(const Workspace& workspace, int64_t l);
    DropoutDraw head_draw(const Workspace& workspace, const HeadState& chunk) const;

    void attention_forward(Tensor weights, Workspace& workspace, int64_t l) const;
    void mlp_hidden_forward(Tensor weights, const LayerState& s, int64_t l) const;
    void mlp_forward(Tensor out, Tensor weights, const LayerState& s, int64_t l, const DropoutDraw& draw) const;
    void attention_backward(Tensor gradients, Tensor weights, Workspace& workspace, int64_t l) const;
    void mlp_backward(Tensor gradients, Tensor weights, const LayerState& s, const BackwardState& d, int64_t l,
                      const DropoutDraw& draw) const;

    // One chunk of gathered rows: the last layer's MLP, chunk.residual, chunk.norm, chunk.logits.
    void head_forward(Tensor weights, Workspace& workspace, HeadState& chunk) const;
    void head_loss(Tensor loss, Tensor weights, Workspace& workspace, HeadState& chunk) const;
    void head_backward(Tensor gradients, Tensor weights, Workspace& workspace, HeadState& chunk) const;

    HeadShape head_shape() const;

    Backend& backend_;
    const ModelConfig& config_;
    const ParameterTable& table_;
    Arena arena_;
    Tensor rotary_table_;  // (P, D): cosines, then sines
};

}  // namespace dllm
