// The CPU backend: checks shapes, splits an op over the thread pool, and calls one instruction set's kernels.
#pragma once

#include "../backend.h"
#include "kernels.h"

namespace dllm {

class CpuBackend final : public Backend {
public:
    CpuBackend(const Kernels& kernels, const ProductKernels& products);

    const char* name() const override { return name_.c_str(); }

    void* allocate(size_t bytes) override;
    void release(void* data) override;
    void upload(Tensor out, const void* host) override;
    void download(void* host, Tensor x) override;
    void zero(Tensor out) override;
    void copy(Tensor out, Tensor x) override;

    void embedding_forward(Tensor out, Tensor tokens, Tensor positions, Tensor token_table,
                           Tensor position_table) override;
    void embedding_backward(Tensor dtoken_table, Tensor dposition_table, Tensor dout, Tensor tokens,
                            Tensor positions) override;

    void layer_norm_forward(Tensor out, Tensor mean, Tensor rstd, Tensor x, Tensor weight, Tensor bias,
                            float eps) override;
    void layer_norm_backward(Tensor dx, Tensor dweight, Tensor dbias, Tensor dout, Tensor x, Tensor weight, Tensor mean,
                             Tensor rstd) override;
    void rms_norm_forward(Tensor out, Tensor rstd, Tensor x, Tensor weight, float eps) override;
    void rms_norm_backward(Tensor dx, Tensor dweight, Tensor dout, Tensor x, Tensor weight, Tensor rstd) override;

    void matmul_forward(Tensor out, Tensor x, Tensor weight, Tensor bias, Tensor residual,
                        WeightLayout layout) override;
    void matmul_backward_input(Tensor dx, Tensor dout, Tensor weight, WeightLayout layout) override;
    void matmul_backward_weight(Tensor dweight, Tensor dbias, Tensor x, Tensor dout, WeightLayout layout) override;
    void matmul_activation_forward(Tensor out, Tensor pre, Tensor x, Tensor weight, Tensor bias, Activation kind,
                                   WeightLayout layout) override;

    void activation_forward(Tensor out, Tensor x, Activation kind) override;
    void activation_backward(Tensor dx, Tensor dout, Tensor x, Activation kind) override;

    void query_key_forward(Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                           const HeadShape& shape) override;
    void query_key_backward(Tensor dqkv, Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                            const HeadShape& shape) override;

    void attention_forward(Tensor out, Tensor log_sum_exp, Tensor q, Tensor k, Tensor v,
                           const AttentionShape& shape) override;
    void attention_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor q, Tensor k, Tensor v, Tensor out,
                            Tensor log_sum_exp, const AttentionShape& shape) override;

    void gather_rows(Tensor out, Tensor x, Tensor rows) override;
    void scatter_rows(Tensor dx, Tensor dout, Tensor rows) override;
    void dropout(Tensor out, Tensor x, Tensor residual, const DropoutDraw& draw) override;
    void cross_entropy(Tensor loss, Tensor logits, Tensor targets, Tensor weights) override;

    void global_norm(Tensor out, Tensor x) override;
    void adamw(Tensor weights, Tensor first_moment, Tensor second_moment, Tensor gradients, Tensor stats,
               Tensor schedule, const AdamWConstants& constants) override;
    void moving_average(Tensor out, Tensor x, Tensor stats, Tensor schedule) override;

    void masked_rows(Tensor rows, Tensor first, Tensor tokens, Tensor plan, int32_t mask_token) override;
    void predict_tokens(const Predictions& out, Tensor logits, Tensor plan, int64_t length,
                        const PredictOptions& options) override;
    void commit_tokens(const Canvases& canvases, Tensor left, const Predictions& predictions, Tensor first, Tensor plan,
                       const CommitRule& rule) override;

private:
    const Kernels& kernels_;
    const ProductKernels& products_;
    const std::string name_;
};

// The backend on one of usable_paths(); with products in bfloat16 where one of usable_bfloat16_products() is named.
// Throws ERR_CONFIG for any other name.
std::unique_ptr<Backend> make_cpu_backend(const std::string& path);
std::unique_ptr<Backend> make_cpu_backend(const std::string& path, const std::string& bfloat16_products);

// Bytes allocated by every CPU backend of the process and not yet released.
size_t cpu_allocated_bytes();

}  // namespace dllm
