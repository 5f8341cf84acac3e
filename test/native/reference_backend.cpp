// Each op: copy the tensors into plain matrices, run the float twin, copy what it wrote back.
#include "reference_backend.h"

#include "reference/activation.h"
#include "reference/attention.h"
#include "reference/commit.h"
#include "reference/dropout.h"
#include "reference/embedding.h"
#include "reference/loss.h"
#include "reference/matmul.h"
#include "reference/norm.h"
#include "reference/optimizer.h"
#include "reference/predict.h"
#include "reference/query_key.h"

#include <cstring>
#include <new>

namespace dllm::test {
namespace {

constexpr std::align_val_t ALIGNMENT{64};

std::vector<int32_t> integers(Tensor tensor) {
    std::vector<int32_t> values;
    for (int64_t row = 0; row < tensor.rows; row++) {
        const int32_t* begin = tensor.i32() + row * tensor.stride;
        values.insert(values.end(), begin, begin + tensor.cols);
    }
    return values;
}

reference::Matrix<float> matrix(Tensor tensor) {
    reference::Matrix<float> values(tensor.rows, tensor.cols);
    for (int64_t row = 0; row < tensor.rows; row++) {
        std::copy_n(tensor.f32() + row * tensor.stride, tensor.cols, values.data.data() + row * tensor.cols);
    }
    return values;
}

std::vector<RequestPlan> requests_of(Tensor tensor) {
    const auto* begin = static_cast<const RequestPlan*>(tensor.data);
    return {begin, begin + tensor.rows};
}

// A matrix that is written back to its tensor when it goes out of scope.
class Output {
public:
    explicit Output(Tensor tensor) : tensor_(tensor), values_(matrix(tensor)) {}
    ~Output() {
        for (int64_t row = 0; row < tensor_.rows; row++) {
            std::copy_n(values_.data.data() + row * tensor_.cols, tensor_.cols, tensor_.f32() + row * tensor_.stride);
        }
    }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    reference::Matrix<float>& operator*() { return values_; }

private:
    Tensor tensor_;
    reference::Matrix<float> values_;
};

// Reads a tile map back into the table of open entries; lengths close the rest.
reference::Matrix<uint8_t> open_entries(const AttentionShape& shape) {
    const int64_t Tq = shape.query_length, Tk = shape.key_length, TILE = TileMap::TILE;
    const std::vector<int32_t> tiles = integers(shape.tiles), bits = integers(shape.bits);
    const std::vector<int32_t> lengths = integers(shape.lengths);
    reference::Matrix<uint8_t> open(shape.batch * Tq, Tk);
    for (int64_t row = 0; row < open.rows; row++) {
        const int64_t b = row / Tq, i = row % Tq, mask = shape.masks == 1 ? 0 : b;
        const int64_t length = lengths.empty() ? Tk : lengths[b];
        for (int64_t j = 0; j < Tk; j++) {
            const int32_t tile = tiles[(mask * shape.query_tiles() + i / TILE) * shape.key_tiles() + j / TILE];
            if (tile == TileMap::CLOSED || shape.query_offset + i >= length || j >= length) continue;
            if (tile == TileMap::OPEN) {
                open(row, j) = 1;
                continue;
            }
            const uint32_t half = uint32_t(bits[2 * (tile * TILE + i % TILE) + j % TILE / 32]);
            open(row, j) = half >> (j % 32) & 1;
        }
    }
    return open;
}

reference::AttentionSize size_of(const AttentionShape& shape) {
    return {shape.batch, shape.query_length, shape.key_length, shape.query_offset,
            shape.heads, shape.kv_heads,     shape.head_width};
}

}  // namespace

void* ReferenceBackend::allocate(size_t bytes) { return ::operator new(bytes, ALIGNMENT); }

void ReferenceBackend::release(void* data) { ::operator delete(data, ALIGNMENT); }

void ReferenceBackend::upload(Tensor out, const void* host) {
    std::memcpy(out.data, host, out.count() * dtype_bytes(out.dtype));
}

void ReferenceBackend::download(void* host, Tensor x) {
    const size_t bytes = size_t(x.cols * dtype_bytes(x.dtype));
    for (int64_t row = 0; row < x.rows; row++)
        std::memcpy(static_cast<std::byte*>(host) + size_t(row) * bytes, x.slice_rows(row, 1).data, bytes);
}

void ReferenceBackend::zero(Tensor out) {
    for (int64_t row = 0; row < out.rows; row++) std::fill_n(out.i32() + row * out.stride, out.cols, 0);
}

void ReferenceBackend::copy(Tensor out, Tensor x) { *Output(out) = matrix(x); }

void ReferenceBackend::embedding_forward(Tensor out, Tensor tokens, Tensor positions, Tensor token_table,
                                         Tensor position_table) {
    reference::embedding_forward(*Output(out), integers(tokens), integers(positions), matrix(token_table),
                                 matrix(position_table));
}

void ReferenceBackend::embedding_backward(Tensor dtoken_table, Tensor dposition_table, Tensor dout, Tensor tokens,
                                          Tensor positions) {
    reference::embedding_backward(*Output(dtoken_table), *Output(dposition_table), matrix(dout), integers(tokens),
                                  integers(positions));
}

void ReferenceBackend::layer_norm_forward(Tensor out, Tensor mean, Tensor rstd, Tensor x, Tensor weight, Tensor bias,
                                          float eps) {
    reference::layer_norm_forward(*Output(out), *Output(mean), *Output(rstd), matrix(x), matrix(weight), matrix(bias),
                                  eps);
}

void ReferenceBackend::layer_norm_backward(Tensor dx, Tensor dweight, Tensor dbias, Tensor dout, Tensor x,
                                           Tensor weight, Tensor mean, Tensor rstd) {
    reference::layer_norm_backward(*Output(dx), *Output(dweight), *Output(dbias), matrix(dout), matrix(x),
                                   matrix(weight), matrix(mean), matrix(rstd));
}

void ReferenceBackend::rms_norm_forward(Tensor out, Tensor rstd, Tensor x, Tensor weight, float eps) {
    reference::rms_norm_forward(*Output(out), *Output(rstd), matrix(x), matrix(weight), eps);
}

void ReferenceBackend::rms_norm_backward(Tensor dx, Tensor dweight, Tensor dout, Tensor x, Tensor weight, Tensor rstd) {
    reference::rms_norm_backward(*Output(dx), *Output(dweight), matrix(dout), matrix(x), matrix(weight), matrix(rstd));
}

void ReferenceBackend::matmul_forward(Tensor out, Tensor x, Tensor weight, Tensor bias, Tensor residual,
                                      WeightLayout layout) {
    reference::matmul_forward(*Output(out), matrix(x), matrix(weight), matrix(bias), matrix(residual), layout);
}

void ReferenceBackend::matmul_backward_input(Tensor dx, Tensor dout, Tensor weight, WeightLayout layout) {
    reference::matmul_backward_input(*Output(dx), matrix(dout), matrix(weight), layout);
}

void ReferenceBackend::matmul_backward_weight(Tensor dweight, Tensor dbias, Tensor x, Tensor dout,
                                              WeightLayout layout) {
    reference::matmul_backward_weight(*Output(dweight), *Output(dbias), matrix(x), matrix(dout), layout);
}

void ReferenceBackend::activation_forward(Tensor out, Tensor x, Activation kind) {
    reference::activation_forward(*Output(out), matrix(x), kind);
}

void ReferenceBackend::activation_backward(Tensor dx, Tensor dout, Tensor x, Activation kind) {
    reference::activation_backward(*Output(dx), matrix(dout), matrix(x), kind);
}

void ReferenceBackend::query_key_forward(Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                         const HeadShape& shape) {
    reference::query_key_forward(*Output(qkv), *Output(rstd), integers(positions), matrix(rotary_table), shape);
}

void ReferenceBackend::query_key_backward(Tensor dqkv, Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                          const HeadShape& shape) {
    reference::query_key_backward(*Output(dqkv), matrix(qkv), matrix(rstd), integers(positions), matrix(rotary_table),
                                  shape);
}

void ReferenceBackend::attention_forward(Tensor out, Tensor log_sum_exp, Tensor q, Tensor k, Tensor v,
                                         const AttentionShape& shape) {
    reference::attention_forward(*Output(out), *Output(log_sum_exp), matrix(q), matrix(k), matrix(v),
                                 open_entries(shape), size_of(shape));
}

void ReferenceBackend::attention_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor q, Tensor k, Tensor v,
                                          Tensor out, Tensor log_sum_exp, const AttentionShape& shape) {
    reference::attention_backward(*Output(dq), *Output(dk), *Output(dv), matrix(dout), matrix(q), matrix(k), matrix(v),
                                  matrix(out), matrix(log_sum_exp), open_entries(shape), size_of(shape));
}

void ReferenceBackend::gather_rows(Tensor out, Tensor x, Tensor rows) {
    reference::gather_rows(*Output(out), matrix(x), integers(rows));
}

void ReferenceBackend::scatter_rows(Tensor dx, Tensor dout, Tensor rows) {
    reference::scatter_rows(*Output(dx), matrix(dout), integers(rows));
}

void ReferenceBackend::dropout(Tensor out, Tensor x, Tensor residual, const DropoutDraw& draw) {
    const reference::Matrix<float> added = residual ? matrix(residual) : reference::Matrix<float>();
    reference::dropout(*Output(out), matrix(x), added, integers(draw.seed), integers(draw.rows), draw);
}

void ReferenceBackend::cross_entropy(Tensor loss, Tensor logits, Tensor targets, Tensor weights) {
    reference::cross_entropy(*Output(loss), *Output(logits), integers(targets), matrix(weights));
}

void ReferenceBackend::global_norm(Tensor out, Tensor x) {
    // In double: a float sum of a quarter of a million squares is off by 3e-5, which no backend may be.
    reference::Matrix<double> norm(1, 1), values(x.rows, x.cols);
    const reference::Matrix<float> narrow = matrix(x);
    values.data.assign(narrow.data.begin(), narrow.data.end());
    reference::global_norm(norm, values);
    (*Output(out))(0, 0) = float(norm(0, 0));
}

void ReferenceBackend::adamw(Tensor weights, Tensor first_moment, Tensor second_moment, Tensor gradients, Tensor stats,
                             Tensor schedule, const AdamWConstants& constants) {
    reference::adamw(*Output(weights), *Output(first_moment), *Output(second_moment), matrix(gradients), matrix(stats),
                     matrix(schedule), constants);
}

void ReferenceBackend::moving_average(Tensor out, Tensor x, Tensor stats, Tensor schedule) {
    reference::moving_average(*Output(out), matrix(x), matrix(stats), matrix(schedule));
}

void ReferenceBackend::masked_rows(Tensor rows, Tensor first, Tensor tokens, Tensor plan, int32_t mask_token) {
    const reference::MaskedRows found =
        reference::masked_rows(integers(tokens), requests_of(plan), rows.cols, mask_token);
    std::copy(found.rows.begin(), found.rows.end(), rows.i32());
    std::copy(found.first.begin(), found.first.end(), first.i32());
}

void ReferenceBackend::predict_tokens(const Predictions& out, Tensor logits, Tensor plan, int64_t length,
                                      const PredictOptions& options) {
    Output confidences(out.confidence), scores(out.score);
    const reference::Matrix<float> values = matrix(logits);
    for (int64_t m = 0; m < logits.rows; m++) {
        const reference::Draw draw = reference::draw_of(requests_of(plan), out.rows.i32()[m], length);
        const int32_t token = reference::predict_token(values, m, draw, options);
        out.tokens.i32()[m] = token;
        (*confidences)(0, m) = reference::token_confidence(values, m, token);
        (*scores)(0, m) = reference::token_score(values, m, token, draw, options.score);
    }
}

void ReferenceBackend::commit_tokens(const Canvases& canvases, Tensor left, const Predictions& predictions,
                                     Tensor first, Tensor plan, const CommitRule& rule) {
    const std::vector<RequestPlan> requests = requests_of(plan);
    for (size_t b = 0; b < requests.size(); b++) {
        const int32_t begin = first.i32()[b], end = first.i32()[b + 1];
        const std::vector<float> scores(predictions.score.f32() + begin, predictions.score.f32() + end);
        const std::vector<int64_t> committed = reference::commit(scores, rule, requests[b].count);
        for (const int64_t i : committed) {
            const int32_t row = predictions.rows.i32()[begin + i];
            canvases.tokens.i32()[row] = predictions.tokens.i32()[begin + i];
            canvases.steps.i32()[row] = requests[b].step;
            canvases.confidences.f32()[row] = predictions.confidence.f32()[begin + i];
        }
        left.i32()[b] = int32_t(scores.size() - committed.size());
    }
}

}  // namespace dllm::test
