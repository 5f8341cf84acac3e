// The seam between the algorithms and a device: memory, and every op with its shapes. Outputs come first.
//
// N = batch * length rows, C width, H heads, G key/value heads, D head width, F MLP width, V vocabulary,
// M gathered rows. Gradients accumulate (+=) unless an op says otherwise; other outputs are written whole.
// Activations, their gradients, logits and the weights that ops read are of compute_dtype(). Always float32 are
// statistics (mean, rstd, log_sum_exp), losses and their weights, confidences, the rotary table, the gradients of
// parameters, and whatever the optimizer works on.
// Tensors may be slices (stride > cols) unless an op says "contiguous". A null Tensor means "absent".
#pragma once

#include "attention_mask.h"
#include "config.h"
#include "rng.h"
#include "tensor.h"

#include <functional>
#include <memory>
#include <string>

namespace dllm {

// One query/key/value row is H query heads, G key heads, G value heads of D columns each.
struct HeadShape {
    int64_t heads;
    int64_t kv_heads;
    int64_t head_width;
    bool normalize;  // weightless RMS norm of every query and key head
    float eps;
    bool rotate;  // rotary embedding, half-split convention
};

// What is the same in every step of a run.
struct AdamWConstants {
    float beta1;
    float beta2;
    float epsilon;
    float weight_decay;
    float gradient_clip;  // 0: off
};

// Columns of stats (1, columns) and schedule (1, columns). What changes from step to step lies in device memory and is
// no argument of an op, so that a recorded step can be run again.
struct Stats {
    enum : int64_t { loss, gradient_norm, columns };
};
struct Schedule {
    enum : int64_t {
        learning_rate,
        bias_correction1,  // 1 - beta1^updates
        bias_correction2,  // 1 - beta2^updates
        average_rest,      // what moving_average takes of the new value
        columns
    };
};

// One place of dropout in one pass: where its random numbers come from.
struct DropoutDraw {
    float probability;  // that an element is dropped; 0: none is
    Tensor seed;        // i32 (1, 3): the step's seed, low word first; number of the batch's first sequence in the step
    int64_t length;     // rows of a sequence
    uint32_t place;     // numbers the places of one model
    Tensor rows;        // i32 (1, N): which row of the batch each row is; null: row n is n
};

// One request's part in a step of sampling: a row of `plan`, i32 (B, PLAN_COLUMNS), contiguous.
struct RequestPlan {
    int32_t begin, end;  // of the active block, counted from the request's first token
    int32_t count;       // positions to commit, where the rule is a count
    int32_t step;
    PhiloxKey key;  // of the request's seed
};
constexpr int64_t PLAN_COLUMNS = sizeof(RequestPlan) / sizeof(int32_t);

// Rows of a batch's requests and what is predicted at them. Row r is position r % length of request r / length.
struct Predictions {
    Tensor rows;        // i32 (1, M)
    Tensor tokens;      // i32 (1, M)
    Tensor confidence;  // (1, M)
    Tensor score;       // (1, M)
};

struct PredictOptions {
    float temperature;  // 0: exact argmax, ties to the lowest id
    int32_t banned_token;
    Remasking score = Remasking::low_confidence;
    // At temperatures above 0 a token is drawn from those that are both among the top_k most probable and in the
    // smallest set of most probable tokens whose probabilities at this temperature add up to top_p (the nucleus of
    // Holtzman et al., 2020). Among equals the lower id is the more probable. The banned token is in neither.
    int64_t top_k = 0;  // 0: off
    float top_p = 1;    // 1: off
};

// What sampling has filled in.
struct Canvases {
    Tensor tokens;       // i32 (1, N)
    Tensor steps;        // i32 (1, N): the plan's step that committed a position
    Tensor confidences;  // (1, N): of what it committed
};

// Ops that are run again and again. In every run they must be the same, on tensors of the same place and shape: what
// differs between runs is read from device memory. So a backend may keep them in a form that starts faster.
class Recording {
public:
    virtual ~Recording() = default;
    // The ops may be called twice or not at all, so all they do must be on the device.
    virtual void run(const std::function<void()>& ops) { ops(); }
};

// How a backend's recordings were run.
struct RecordingCounts {
    int64_t plain = 0;     // op by op: the first run of each, and all where capturing failed or is off
    int64_t captured = 0;  // kept for what follows, and run
    int64_t replayed = 0;
    std::string failure;  // why the last one failed that was to be captured or launched; empty: none has
};

class Backend {
public:
    virtual ~Backend() = default;
    virtual const char* name() const = 0;
    virtual DType compute_dtype() const { return DType::f32; }
    // A training step works on whole sequences of about this many rows at a time. On a CPU more rows are no faster, and
    // their activations take memory.
    virtual int64_t rows_per_pass() const { return 1024; }
    // The head works on so many rows that their logits are at most this many values.
    virtual int64_t logits_per_pass() const { return int64_t(1) << 25; }
    // Rows with a weight are filled up, by rows without, to a multiple of this many, so that shapes repeat.
    virtual int64_t row_bucket() const { return 1; }
    // Rows of logits begin at multiples of this many bytes.
    virtual int64_t row_alignment() const { return 1; }

    // What was chosen by measuring and decides the last bits of results, as text that is saved with a run; empty where
    // nothing is.
    virtual std::string plans() const { return {}; }
    // Chooses as the text says. Returns why it cannot, and then changes nothing; empty if it does.
    virtual std::string restore_plans(const std::string& plans) {
        return plans.empty() ? "" : std::string("they are of another device than ") + name();
    }

    // Whether ops return before they have run, so that the host can work meanwhile.
    virtual bool runs_behind() const { return false; }
    // Must not outlive the backend.
    virtual std::unique_ptr<Recording> make_recording() { return std::make_unique<Recording>(); }
    virtual RecordingCounts recording_counts() const { return {}; }

    // ---- memory ----------------------------------------------------------------------------------
    // 64-byte aligned. Throws ERR_OUT_OF_MEMORY naming the bytes asked for.
    virtual void* allocate(size_t bytes) = 0;
    virtual void release(void* data) = 0;
    virtual void upload(Tensor out, const void* host) = 0;  // contiguous
    virtual void download(void* host, Tensor x) = 0;        // the rows of x one after the other
    virtual void zero(Tensor out) = 0;
    // f32 to bf16 is rounded to nearest even. A backend that computes in float32 copies within one type only.
    virtual void copy(Tensor out, Tensor x) = 0;

    // ---- embedding -------------------------------------------------------------------------------
    // out (N, C) = token_table[tokens] + position_table[positions]     tokens, positions i32 (1, N)
    // token_table (V, C)   position_table (P, C) or null
    virtual void embedding_forward(Tensor out, Tensor tokens, Tensor positions, Tensor token_table,
                                   Tensor position_table) = 0;
    virtual void embedding_backward(Tensor dtoken_table, Tensor dposition_table, Tensor dout, Tensor tokens,
                                    Tensor positions) = 0;

    // ---- norms -----------------------------------------------------------------------------------
    // out, x (N, C)   mean, rstd (1, N)   weight (1, C)   bias (1, C) or null.
    virtual void layer_norm_forward(Tensor out, Tensor mean, Tensor rstd, Tensor x, Tensor weight, Tensor bias,
                                    float eps) = 0;
    virtual void layer_norm_backward(Tensor dx, Tensor dweight, Tensor dbias, Tensor dout, Tensor x, Tensor weight,
                                     Tensor mean, Tensor rstd) = 0;
    virtual void rms_norm_forward(Tensor out, Tensor rstd, Tensor x, Tensor weight, float eps) = 0;
    virtual void rms_norm_backward(Tensor dx, Tensor dweight, Tensor dout, Tensor x, Tensor weight, Tensor rstd) = 0;

    // ---- matrix products -------------------------------------------------------------------------
    // out (N, O) = x (N, I) W + bias (1, O) + residual (N, O).  weight is (I, O) or (O, I) as layout says.
    // bias and residual may be null; residual may be out itself.
    virtual void matmul_forward(Tensor out, Tensor x, Tensor weight, Tensor bias, Tensor residual,
                                WeightLayout layout) = 0;
    // dx (N, I) = dout (N, O) W^T; written, not accumulated.
    virtual void matmul_backward_input(Tensor dx, Tensor dout, Tensor weight, WeightLayout layout) = 0;
    // dweight += x^T dout in the weight's layout, dbias (1, O) or null += column sums of dout.
    virtual void matmul_backward_weight(Tensor dweight, Tensor dbias, Tensor x, Tensor dout, WeightLayout layout) = 0;

    // ---- activations: gelu (tanh form) and silu take x (N, F); swiglu takes x (N, 2F) = gate, up ---
    virtual void activation_forward(Tensor out, Tensor x, Activation kind) = 0;
    // dx is written, not accumulated.
    virtual void activation_backward(Tensor dx, Tensor dout, Tensor x, Activation kind) = 0;

    // pre = x W + bias, out = activation(pre). A backend may do both in one pass.
    virtual void matmul_activation_forward(Tensor out, Tensor pre, Tensor x, Tensor weight, Tensor bias,
                                           Activation kind, WeightLayout layout) {
        matmul_forward(pre, x, weight, bias, {}, layout);
        activation_forward(out, pre, kind);
    }

    // dpre = dhidden * activation'(pre) with dhidden (N, F) = dout (N, O) W^T; written, not accumulated. A backend may
    // do both in one pass, and then leaves dhidden unwritten.
    virtual void matmul_activation_backward(Tensor dpre, Tensor dhidden, Tensor dout, Tensor weight, Tensor pre,
                                            Activation kind, WeightLayout layout) {
        matmul_backward_input(dhidden, dout, weight, layout);
        activation_backward(dpre, dhidden, pre, kind);
    }

    // ---- queries and keys ------------------------------------------------------------------------
    // In place on the first H + G heads of qkv (N, (H + 2G) D): norm, then rotation by positions i32 (1, N).
    // rotary_table (P, D): D/2 cosines, then D/2 sines.   rstd (N, H + G), written when shape.normalize.
    virtual void query_key_forward(Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                   const HeadShape& shape) = 0;
    // In place on dqkv; qkv and rstd as the forward pass left them.
    virtual void query_key_backward(Tensor dqkv, Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                    const HeadShape& shape) = 0;

    // ---- attention: out = softmax(q k^T / sqrt(D)) v over the open entries -------------------------
    // q, out (B Tq, H D)   k, v (B Tk, G D)   log_sum_exp (B H, Tq), contiguous, for the backward pass only.
    // A row with no open key gives zeros.
    virtual void attention_forward(Tensor out, Tensor log_sum_exp, Tensor q, Tensor k, Tensor v,
                                   const AttentionShape& shape) = 0;
    // dq, dk, dv are written, not accumulated.
    virtual void attention_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor q, Tensor k, Tensor v,
                                    Tensor out, Tensor log_sum_exp, const AttentionShape& shape) = 0;

    // ---- dropout (Srivastava et al., 2014) -----------------------------------------------------------
    // out (N, C) = residual + x / (1 - probability) where it is kept, residual where it is dropped. residual may be
    // null; out may be x or residual. Element (n, c), where n is a row of the batch, is dropped by the draw of (seed,
    // first sequence + n / length) at position n % length, step `place`, element c. With the gradient as x this is the
    // backward pass too.
    virtual void dropout(Tensor out, Tensor x, Tensor residual, const DropoutDraw& draw) = 0;

    // ---- rows with a weight ------------------------------------------------------------------------
    // out (M, C) = x[rows]   dx[rows] += dout (M, C)   rows i32 (1, M); in scatter_rows each row at most once.
    virtual void gather_rows(Tensor out, Tensor x, Tensor rows) = 0;
    virtual void scatter_rows(Tensor dx, Tensor dout, Tensor rows) = 0;

    // loss (1, 1) += sum over rows of weight * nll(logits row -> target).
    // logits (M, V) become their gradients.   targets i32 (1, M)   weights (1, M)
    virtual void cross_entropy(Tensor loss, Tensor logits, Tensor targets, Tensor weights) = 0;

    // ---- optimizer -----------------------------------------------------------------------------------
    // out (1, 1) = sqrt(sum of squares of x), x contiguous
    virtual void global_norm(Tensor out, Tensor x) = 0;
    // AdamW (Loshchilov & Hutter, 2019) on contiguous tensors of one shape. The gradient is first scaled by
    // min(1, gradient_clip / (gradient norm + 1e-6)). Changes nothing unless all stats are finite.
    virtual void adamw(Tensor weights, Tensor first_moment, Tensor second_moment, Tensor gradients, Tensor stats,
                       Tensor schedule, const AdamWConstants& constants) = 0;

    // The same, and then rounded (compute_dtype()) = weights.
    virtual void adamw_rounding(Tensor rounded, Tensor weights, Tensor first_moment, Tensor second_moment,
                                Tensor gradients, Tensor stats, Tensor schedule, const AdamWConstants& constants) {
        adamw(weights, first_moment, second_moment, gradients, stats, schedule, constants);
        copy(rounded, weights);
    }

    // out += rest * (x - out) on contiguous tensors of one shape: an average that keeps 1 - rest of its old value.
    // Changes nothing unless all stats are finite.
    virtual void moving_average(Tensor out, Tensor x, Tensor stats, Tensor schedule) = 0;

    // ---- sampling --------------------------------------------------------------------------------------
    // One step: masked_rows, then logits of those rows, predict_tokens, commit_tokens. Nothing of it depends on
    // values that the host would have to know.

    // A number of rows, at least `rows`, of which a backend wants few different ones. Those added are rows 0.
    virtual int64_t padded_rows(int64_t rows) const { return rows; }

    // rows i32 (1, M): those of tokens i32 (1, N) that are the mask token and in their request's block, ascending; then
    // zeros. Those for which there is no room are left out. first i32 (1, B + 1), contiguous: where each request's rows
    // begin, and where the last one's end.
    virtual void masked_rows(Tensor rows, Tensor first, Tensor tokens, Tensor plan, int32_t mask_token) = 0;

    // Of the logits (M, V) of out.rows: the token of largest logit / temperature + Gumbel noise among those to draw
    // from, its softmax probability under the noise-free logits at temperature 1, mask token included, and the score
    // that orders the rows. A random score is a whole number of 2^-16 from 0 to below 256.
    virtual void predict_tokens(const Predictions& out, Tensor logits, Tensor plan, int64_t length,
                                const PredictOptions& options) = 0;

    // Of each request's predictions, those between its `first` and the next, commits what the rule says: writes their
    // tokens, steps and confidences into the canvases. Scores are compared in steps of 2^-16, ties to the lowest row.
    // left i32 (1, B), contiguous: predictions that were not committed.
    virtual void commit_tokens(const Canvases& canvases, Tensor left, const Predictions& predictions, Tensor first,
                               Tensor plan, const CommitRule& rule) = 0;
};

// The CPU backend. Its instruction-set path is chosen once per process; DLLM_CPU forces one. With bf16, the operands of
// matrix products are rounded to bfloat16 (to nearest even) while they are packed, and their sums are float32;
// everything else, and all storage, is float32. Which instructions do it is chosen once per process; DLLM_CPU_BFLOAT16
// forces one.
std::unique_ptr<Backend> make_cpu_backend(DType products = DType::f32);

}  // namespace dllm
