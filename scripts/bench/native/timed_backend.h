// A backend that passes every op on to another one and notes its time, its arithmetic and the bytes it must move.
#pragma once

#include "backend.h"

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dllm {

struct OpCount {
    double seconds = 0;              // sums of each call's time; where a call is timed in rounds, of their medians
    double lowest = 0, highest = 0;  // sums of each call's lowest and highest round
    double operations = 0;           // multiplications and additions that the op's definition needs
    double bytes = 0;                // of its operands, each read or written once
    int64_t calls = 0;
};

// By op and shape.
using OpCounts = std::map<std::string, OpCount>;

class TimedBackend : public Backend {
public:
    // batch_rows: rows of the whole batch; an op on fewer rows works on those with a weight, whose number varies.
    // Of a backend that runs behind, each op is queued many times over, recorded where the backend can, and so neither
    // its start nor the wait for its end counts; it leaves what one call would. Operands smaller than the device's
    // caches may then be found there.
    TimedBackend(std::unique_ptr<Backend> backend, std::shared_ptr<OpCounts> counts, int64_t batch_rows);
    ~TimedBackend() override;
    TimedBackend(const TimedBackend&) = delete;
    TimedBackend& operator=(const TimedBackend&) = delete;

    const char* name() const override { return backend_->name(); }
    DType compute_dtype() const override { return backend_->compute_dtype(); }
    int64_t rows_per_pass() const override { return backend_->rows_per_pass(); }
    int64_t logits_per_pass() const override { return backend_->logits_per_pass(); }
    int64_t row_bucket() const override { return backend_->row_bucket(); }
    int64_t row_alignment() const override { return backend_->row_alignment(); }
    std::string plans() const override { return backend_->plans(); }
    std::string restore_plans(const std::string& plans) override { return backend_->restore_plans(plans); }
    RecordingCounts recording_counts() const override { return backend_->recording_counts(); }
    void* allocate(size_t bytes) override { return backend_->allocate(bytes); }
    void release(void* data) override { backend_->release(data); }
    void upload(Tensor out, const void* host) override { backend_->upload(out, host); }
    void download(void* host, Tensor x) override { backend_->download(host, x); }
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
    int64_t padded_rows(int64_t rows) const override { return backend_->padded_rows(rows); }
    void masked_rows(Tensor rows, Tensor first, Tensor tokens, Tensor plan, int32_t mask_token) override;
    void predict_tokens(const Predictions& out, Tensor logits, Tensor plan, int64_t length,
                        const PredictOptions& options) override;
    void commit_tokens(const Canvases& canvases, Tensor left, const Predictions& predictions, Tensor first, Tensor plan,
                       const CommitRule& rule) override;

private:
    std::string sized(const char* op, Tensor x, int64_t more = 0) const;
    // changed: tensors of which the op reads what it overwrites; absent ones are passed over.
    void count(const std::string& name, double operations, double bytes, const std::function<void()>& op,
               std::initializer_list<Tensor> changed = {});
    // Of one op among many that are queued: each of some rounds.
    std::vector<double> queued_rounds(const std::function<void()>& op, std::span<const Tensor> changed);
    double seconds_of(const std::function<void()>& work);  // until the device has run it
    void wait();                                           // until the device has run everything

    std::unique_ptr<Backend> backend_;
    std::shared_ptr<OpCounts> counts_;
    const int64_t batch_rows_;
    Tensor probe_;  // (1, 1), downloaded to wait; absent where ops return when they have run
    double idle_wait_ = 0;
};

}  // namespace dllm
