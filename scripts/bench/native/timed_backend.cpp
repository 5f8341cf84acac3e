// What each op costs at least: see timed_backend.h.
#include "timed_backend.h"

namespace dllm {
namespace {

double size_of(std::initializer_list<Tensor> tensors) {
    double elements = 0;
    for (const Tensor& tensor : tensors) elements += double(tensor.count());
    return elements;
}

double bytes_of(std::initializer_list<Tensor> tensors) {
    double bytes = 0;
    for (const Tensor& tensor : tensors) bytes += double(tensor.count() * dtype_bytes(tensor.dtype));
    return bytes;
}

}  // namespace

std::string TimedBackend::sized(const char* op, Tensor x, int64_t more) const {
    const bool is_part = x.rows > 1 && x.rows != batch_rows_;
    std::string name =
        std::string(op) + " " + (is_part ? "masked" : std::to_string(x.rows)) + " x " + std::to_string(x.cols);
    if (more > 0) name += " x " + std::to_string(more);
    return name;
}

void TimedBackend::zero(Tensor out) {
    count(sized("zero", out), 0, bytes_of({out}), [&] { backend_->zero(out); });
}

void TimedBackend::copy(Tensor out, Tensor x) {
    count(sized("copy", out), 0, bytes_of({out, x}), [&] { backend_->copy(out, x); });
}

void TimedBackend::embedding_forward(Tensor out, Tensor tokens, Tensor positions, Tensor token_table,
                                     Tensor position_table) {
    const double tables = position_table ? 2 : 1;
    count(sized("embedding_forward", out), 0, (1 + tables) * bytes_of({out}),
          [&] { backend_->embedding_forward(out, tokens, positions, token_table, position_table); });
}

void TimedBackend::embedding_backward(Tensor dtoken_table, Tensor dposition_table, Tensor dout, Tensor tokens,
                                      Tensor positions) {
    count(sized("embedding_backward", dout), size_of({dout}),
          bytes_of({dout}) + 2 * bytes_of({dtoken_table, dposition_table}),
          [&] { backend_->embedding_backward(dtoken_table, dposition_table, dout, tokens, positions); },
          {dtoken_table, dposition_table});
}

void TimedBackend::layer_norm_forward(Tensor out, Tensor mean, Tensor rstd, Tensor x, Tensor weight, Tensor bias,
                                      float eps) {
    count(sized("layer_norm_forward", x), 8 * size_of({x}), bytes_of({out, x}),
          [&] { backend_->layer_norm_forward(out, mean, rstd, x, weight, bias, eps); });
}

void TimedBackend::layer_norm_backward(Tensor dx, Tensor dweight, Tensor dbias, Tensor dout, Tensor x, Tensor weight,
                                       Tensor mean, Tensor rstd) {
    count(sized("layer_norm_backward", x), 16 * size_of({x}), bytes_of({dx, dx, dout, x}),
          [&] { backend_->layer_norm_backward(dx, dweight, dbias, dout, x, weight, mean, rstd); },
          {dx, dweight, dbias});
}

void TimedBackend::rms_norm_forward(Tensor out, Tensor rstd, Tensor x, Tensor weight, float eps) {
    count(sized("rms_norm_forward", x), 4 * size_of({x}), bytes_of({out, x}),
          [&] { backend_->rms_norm_forward(out, rstd, x, weight, eps); });
}

void TimedBackend::rms_norm_backward(Tensor dx, Tensor dweight, Tensor dout, Tensor x, Tensor weight, Tensor rstd) {
    count(sized("rms_norm_backward", x), 10 * size_of({x}), bytes_of({dx, dx, dout, x}),
          [&] { backend_->rms_norm_backward(dx, dweight, dout, x, weight, rstd); }, {dx, dweight});
}

void TimedBackend::matmul_forward(Tensor out, Tensor x, Tensor weight, Tensor bias, Tensor residual,
                                  WeightLayout layout) {
    count(sized("matmul_forward", x, out.cols), 2 * size_of({x}) * double(out.cols),
          bytes_of({out, x, weight, residual}),
          [&] { backend_->matmul_forward(out, x, weight, bias, residual, layout); },
          {residual.data == out.data ? out : Tensor{}});
}

void TimedBackend::matmul_backward_input(Tensor dx, Tensor dout, Tensor weight, WeightLayout layout) {
    count(sized("matmul_backward_input", dx, dout.cols), 2 * size_of({dx}) * double(dout.cols),
          bytes_of({dx, dout, weight}), [&] { backend_->matmul_backward_input(dx, dout, weight, layout); });
}

void TimedBackend::matmul_backward_weight(Tensor dweight, Tensor dbias, Tensor x, Tensor dout, WeightLayout layout) {
    count(sized("matmul_backward_weight", x, dout.cols), 2 * size_of({x}) * double(dout.cols),
          bytes_of({dweight, dweight, x, dout}),
          [&] { backend_->matmul_backward_weight(dweight, dbias, x, dout, layout); }, {dweight, dbias});
}

void TimedBackend::activation_forward(Tensor out, Tensor x, Activation kind) {
    count(sized("activation_forward", out), 15 * size_of({out}), bytes_of({out, x}),
          [&] { backend_->activation_forward(out, x, kind); });
}

void TimedBackend::activation_backward(Tensor dx, Tensor dout, Tensor x, Activation kind) {
    count(sized("activation_backward", dout), 20 * size_of({dout}), bytes_of({dx, dout, x}),
          [&] { backend_->activation_backward(dx, dout, x, kind); });
}

void TimedBackend::matmul_activation_forward(Tensor out, Tensor pre, Tensor x, Tensor weight, Tensor bias,
                                             Activation kind, WeightLayout layout) {
    count(sized("matmul_activation_forward", x, pre.cols), 2 * size_of({x}) * double(pre.cols) + 15 * size_of({out}),
          bytes_of({out, pre, x, weight}),
          [&] { backend_->matmul_activation_forward(out, pre, x, weight, bias, kind, layout); });
}

void TimedBackend::matmul_activation_backward(Tensor dpre, Tensor dhidden, Tensor dout, Tensor weight, Tensor pre,
                                              Activation kind, WeightLayout layout) {
    if (!backend_->runs_behind())  // a CPU's are two passes, each with its own row
        return Backend::matmul_activation_backward(dpre, dhidden, dout, weight, pre, kind, layout);
    count(sized("matmul_activation_backward", dhidden, dout.cols),
          2 * size_of({dhidden}) * double(dout.cols) + 20 * size_of({dhidden}), bytes_of({dpre, dout, weight, pre}),
          [&] { backend_->matmul_activation_backward(dpre, dhidden, dout, weight, pre, kind, layout); });
}

void TimedBackend::query_key_forward(Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                     const HeadShape& shape) {
    const double elements = double(qkv.rows * (shape.heads + shape.kv_heads) * shape.head_width);
    const double element_bytes = elements * double(dtype_bytes(qkv.dtype));
    count(sized("query_key_forward", qkv), 6 * elements, 2 * element_bytes,
          [&] { backend_->query_key_forward(qkv, rstd, positions, rotary_table, shape); }, {qkv});
}

void TimedBackend::query_key_backward(Tensor dqkv, Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                      const HeadShape& shape) {
    const double elements = double(qkv.rows * (shape.heads + shape.kv_heads) * shape.head_width);
    const double element_bytes = elements * double(dtype_bytes(qkv.dtype));
    count(sized("query_key_backward", qkv), 12 * elements, 3 * element_bytes,
          [&] { backend_->query_key_backward(dqkv, qkv, rstd, positions, rotary_table, shape); }, {dqkv});
}

// Two products forward, five backward, over all entries: the masks of this benchmark are open.
void TimedBackend::attention_forward(Tensor out, Tensor log_sum_exp, Tensor q, Tensor k, Tensor v,
                                     const AttentionShape& shape) {
    const double product = 2 * size_of({q}) * double(shape.key_length);
    count(sized("attention_forward", q, shape.key_length), 2 * product, bytes_of({out, q, k, v}),
          [&] { backend_->attention_forward(out, log_sum_exp, q, k, v, shape); });
}

void TimedBackend::attention_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor q, Tensor k, Tensor v,
                                      Tensor out, Tensor log_sum_exp, const AttentionShape& shape) {
    const double product = 2 * size_of({q}) * double(shape.key_length);
    count(sized("attention_backward", q, shape.key_length), 5 * product, bytes_of({dq, dk, dv, dout, q, k, v, out}),
          [&] { backend_->attention_backward(dq, dk, dv, dout, q, k, v, out, log_sum_exp, shape); });
}

void TimedBackend::dropout(Tensor out, Tensor x, Tensor residual, const DropoutDraw& draw) {
    count(sized("dropout", x), 12 * size_of({x}), bytes_of({out, x, residual}),
          [&] { backend_->dropout(out, x, residual, draw); },
          {out.data == x.data || out.data == residual.data ? out : Tensor{}});
}

void TimedBackend::gather_rows(Tensor out, Tensor x, Tensor rows) {
    count("gather_rows", 0, 2 * bytes_of({out}), [&] { backend_->gather_rows(out, x, rows); });
}

void TimedBackend::scatter_rows(Tensor dx, Tensor dout, Tensor rows) {
    count("scatter_rows", size_of({dout}), 3 * bytes_of({dout}), [&] { backend_->scatter_rows(dx, dout, rows); }, {dx});
}

void TimedBackend::cross_entropy(Tensor loss, Tensor logits, Tensor targets, Tensor weights) {
    count("cross_entropy", 14 * size_of({logits}), 2 * bytes_of({logits}),
          [&] { backend_->cross_entropy(loss, logits, targets, weights); }, {loss, logits});
}

void TimedBackend::global_norm(Tensor out, Tensor x) {
    count(sized("global_norm", x), 2 * size_of({x}), bytes_of({x}), [&] { backend_->global_norm(out, x); });
}

void TimedBackend::adamw(Tensor weights, Tensor first_moment, Tensor second_moment, Tensor gradients, Tensor stats,
                         Tensor schedule, const AdamWConstants& constants) {
    count(sized("adamw", weights), 14 * size_of({weights}), 7 * bytes_of({weights}),
          [&] { backend_->adamw(weights, first_moment, second_moment, gradients, stats, schedule, constants); },
          {weights, first_moment, second_moment});
}

void TimedBackend::adamw_rounding(Tensor rounded, Tensor weights, Tensor first_moment, Tensor second_moment,
                                  Tensor gradients, Tensor stats, Tensor schedule, const AdamWConstants& constants) {
    count(sized("adamw_rounding", weights), 14 * size_of({weights}), 7 * bytes_of({weights}) + bytes_of({rounded}),
          [&] {
              backend_->adamw_rounding(rounded, weights, first_moment, second_moment, gradients, stats, schedule,
                                       constants);
          },
          {weights, first_moment, second_moment});
}

void TimedBackend::moving_average(Tensor out, Tensor x, Tensor stats, Tensor schedule) {
    count(sized("moving_average", x), 3 * size_of({x}), 3 * bytes_of({x}),
          [&] { backend_->moving_average(out, x, stats, schedule); }, {out});
}

void TimedBackend::masked_rows(Tensor rows, Tensor first, Tensor tokens, Tensor plan, int32_t mask_token) {
    count("masked_rows", size_of({tokens}), bytes_of({tokens, rows}),
          [&] { backend_->masked_rows(rows, first, tokens, plan, mask_token); });
}

void TimedBackend::predict_tokens(const Predictions& out, Tensor logits, Tensor plan, int64_t length,
                                  const PredictOptions& options) {
    count("predict_tokens", 10 * size_of({logits}), bytes_of({logits}),
          [&] { backend_->predict_tokens(out, logits, plan, length, options); });
}

void TimedBackend::commit_tokens(const Canvases& canvases, Tensor left, const Predictions& predictions, Tensor first,
                                 Tensor plan, const CommitRule& rule) {
    count("commit_tokens", 10 * size_of({predictions.score}), 4 * bytes_of({predictions.score}),
          [&] { backend_->commit_tokens(canvases, left, predictions, first, plan, rule); },
          {canvases.tokens, canvases.steps, canvases.confidences});
}

}  // namespace dllm
