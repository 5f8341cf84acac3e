// The CUDA backend: checks shapes, launches our kernels and cuBLASLt on the model's stream. Files mirror native/cpu.
#pragma once

#include "../backend.h"
#include "attention_choice.h"
#include "context.h"
#include "matmul_plans.h"
#include "recording.h"

#include <limits>

namespace dllm::cuda {

class CudaBackend final : public Backend {
public:
    // compute is f32 (no TF32) or bf16. Throws ERR_CONFIG, ERR_DEVICE, ERR_OUT_OF_MEMORY.
    CudaBackend(int device, DType compute)
        : compute_(compute), context_(device), attention_kernels_(attention_kernels_from_environment(device)),
          plans_(context_, MatmulOptions::from_environment()) {}

    const char* name() const override { return compute_ == DType::bf16 ? "cuda bfloat16" : "cuda float32"; }
    DType compute_dtype() const override { return compute_; }
    int64_t rows_per_pass() const override { return std::numeric_limits<int64_t>::max(); }
    int64_t logits_per_pass() const override { return int64_t(1) << 29; }
    int64_t row_bucket() const override { return 256; }
    int64_t row_alignment() const override { return 16; }
    std::string plans() const override { return plans_.save(); }
    std::string restore_plans(const std::string& plans) override { return plans_.restore(plans); }

    bool runs_behind() const override { return true; }
    std::unique_ptr<Recording> make_recording() override {
        return std::make_unique<GraphRecording>(context_, scratch_, plans_, recording_counts_);
    }
    RecordingCounts recording_counts() const override { return recording_counts_; }

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

    void activation_forward(Tensor out, Tensor x, Activation kind) override;
    void activation_backward(Tensor dx, Tensor dout, Tensor x, Activation kind) override;
    void matmul_activation_forward(Tensor out, Tensor pre, Tensor x, Tensor weight, Tensor bias, Activation kind,
                                   WeightLayout layout) override;
    void matmul_activation_backward(Tensor dpre, Tensor dhidden, Tensor dout, Tensor weight, Tensor pre,
                                    Activation kind, WeightLayout layout) override;

    void query_key_forward(Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                           const HeadShape& shape) override;
    void query_key_backward(Tensor dqkv, Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                            const HeadShape& shape) override;

    void attention_forward(Tensor out, Tensor log_sum_exp, Tensor q, Tensor k, Tensor v,
                           const AttentionShape& shape) override;
    void attention_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor q, Tensor k, Tensor v, Tensor out,
                            Tensor log_sum_exp, const AttentionShape& shape) override;

    void dropout(Tensor out, Tensor x, Tensor residual, const DropoutDraw& draw) override;
    void gather_rows(Tensor out, Tensor x, Tensor rows) override;
    void scatter_rows(Tensor dx, Tensor dout, Tensor rows) override;
    void cross_entropy(Tensor loss, Tensor logits, Tensor targets, Tensor weights) override;

    void global_norm(Tensor out, Tensor x) override;
    void adamw(Tensor weights, Tensor first_moment, Tensor second_moment, Tensor gradients, Tensor stats,
               Tensor schedule, const AdamWConstants& constants) override;
    void adamw_rounding(Tensor rounded, Tensor weights, Tensor first_moment, Tensor second_moment, Tensor gradients,
                        Tensor stats, Tensor schedule, const AdamWConstants& constants) override;
    void moving_average(Tensor out, Tensor x, Tensor stats, Tensor schedule) override;

    int64_t padded_rows(int64_t rows) const override;
    void masked_rows(Tensor rows, Tensor first, Tensor tokens, Tensor plan, int32_t mask_token) override;
    void predict_tokens(const Predictions& out, Tensor logits, Tensor plan, int64_t length,
                        const PredictOptions& options) override;
    void commit_tokens(const Canvases& canvases, Tensor left, const Predictions& predictions, Tensor first, Tensor plan,
                       const CommitRule& rule) override;

private:
    DType compute_;
    Context context_;
    AttentionKernels attention_kernels_;
    MatmulPlans plans_;
    Scratch scratch_{context_};
    RecordingCounts recording_counts_;
};

}  // namespace dllm::cuda
