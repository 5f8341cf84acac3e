// BlockDecoder: see block_decoder.h.
#include "block_decoder.h"

#include "bench_device.h"

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

namespace dllm {
namespace {

constexpr float EPS = 1e-5f;
constexpr double ROTARY_THETA = 5e5;
constexpr int WEIGHT_EXPONENT = -5;  // magnitudes up to 2^-5, about those of a trained model

std::vector<float> rotary_values(int64_t positions, int64_t head_width) {
    const int64_t half = head_width / 2;
    std::vector<float> values(size_t(positions * head_width));
    for (int64_t position = 0; position < positions; position++) {
        for (int64_t i = 0; i < half; i++) {
            const double angle = double(position) * std::pow(ROTARY_THETA, -double(i) / double(half));
            values[size_t(position * head_width + i)] = float(std::cos(angle));
            values[size_t(position * head_width + half + i)] = float(std::sin(angle));
        }
    }
    return values;
}

double bytes_of(Tensor x) { return double(x.count() * dtype_bytes(x.dtype)); }

}  // namespace

BlockDecoder::BlockDecoder(Backend& backend, const DecoderShape& shape)
    : backend_(backend), shape_(shape), mask_token_(int32_t(shape.vocabulary - 1)), layers_(size_t(shape.layers)) {
    weights_ = Arena::lay_out(backend, [this](Arena& arena) { lay_out_weights(arena); });
    state_ = Arena::lay_out(backend, [this](Arena& arena) { lay_out_state(arena); });
    fill_weights();
    fill_state();
    recording_ = backend.make_recording();
}

void BlockDecoder::lay_out_weights(Arena& arena) {
    const int64_t C = shape_.width, F = shape_.mlp_width, V = shape_.vocabulary;
    const DType dtype = backend_.compute_dtype();
    const auto take = [&](int64_t rows, int64_t cols) { return arena.take(rows, cols, dtype); };
    token_table_ = take(V, C);
    for (Layer& layer : layers_) {
        layer.attention_norm = take(1, C), layer.qkv = take(3 * C, C), layer.attention_output = take(C, C);
        layer.mlp_norm = take(1, C), layer.gate_up = take(2 * F, C), layer.down = take(C, F);
        layer.keys_values = take(shape_.keys(), 2 * C);
    }
    final_norm_ = take(1, C), head_ = take(V, C);
}

void BlockDecoder::lay_out_state(Arena& arena) {
    const int64_t N = shape_.block, C = shape_.width, F = shape_.mlp_width, H = shape_.heads;
    const DType dtype = backend_.compute_dtype();
    const auto take = [&](int64_t cols) { return arena.take(N, cols, dtype); };
    const auto integers = [&](int64_t rows, int64_t cols) { return arena.take(rows, cols, DType::i32); };
    x_ = take(C), norm_ = take(C), qkv_ = take(3 * C), attention_ = take(C), pre_ = take(2 * F), hidden_ = take(F);
    gathered_ = take(C), logits_ = arena.take(N, shape_.vocabulary, dtype, backend_.row_alignment());
    rstd_ = arena.take(1, N), query_key_rstd_ = arena.take(N, 2 * H), log_sum_exp_ = arena.take(H, N);
    positions_ = integers(1, N), masked_ = integers(1, N);
    rotary_table_ = arena.take(shape_.keys(), C / H);
    tiles_ = integers(1, (shape_.keys() + TileMap::TILE - 1) / TileMap::TILE);
    plan_ = integers(1, PLAN_COLUMNS), first_ = integers(1, 2), left_ = integers(1, 1);
    canvases_ = {integers(1, N), integers(1, N), arena.take(1, N)};
    predictions_ = {integers(1, N), integers(1, N), arena.take(1, N), arena.take(1, N)};
}

void BlockDecoder::fill_weights() {
    fill(backend_, token_table_);
    for (const Layer& layer : layers_) {
        for (const Tensor& norm : {layer.attention_norm, layer.mlp_norm}) fill(backend_, norm);
        for (const Tensor& matrix : {layer.qkv, layer.attention_output, layer.gate_up, layer.down})
            fill(backend_, matrix, WEIGHT_EXPONENT);
        fill(backend_, layer.keys_values);
    }
    fill(backend_, final_norm_);
    fill(backend_, head_, WEIGHT_EXPONENT);
}

void BlockDecoder::fill_state() {
    const int64_t N = shape_.block, H = shape_.heads, D = shape_.width / H;
    std::vector<int32_t> values(size_t(N), mask_token_);
    backend_.upload(masked_, values.data());
    std::iota(values.begin(), values.end(), int32_t(shape_.cached));
    backend_.upload(positions_, values.data());
    backend_.upload(rotary_table_, rotary_values(shape_.keys(), D).data());
    const TileMap map = make_tile_map({}, 1, N, shape_.keys(), shape_.cached);
    if (!map.bits.empty() || int64_t(map.tiles.size()) != tiles_.count())
        throw std::runtime_error("the block must lie within one tile of queries");
    backend_.upload(tiles_, map.tiles.data());
    const RequestPlan plan{0, int32_t(N), int32_t(shape_.commits), 0, philox_key(1, 0)};
    backend_.upload(plan_, &plan);
    attention_shape_ = {1, N, shape_.keys(), shape_.cached, H, H, D, 1, tiles_, {}, {}};
}

void BlockDecoder::run() {
    recording_->run([this] { pass(); });
}

void BlockDecoder::pass() {
    backend_.copy(canvases_.tokens, masked_);
    backend_.embedding_forward(x_, canvases_.tokens, positions_, token_table_, {});
    for (const Layer& layer : layers_) {
        attention(layer);
        mlp(layer);
    }
    head();
    commit();
}

// x += output(attention(qkv(norm(x)))) with the block's own keys and values behind the cached ones
void BlockDecoder::attention(const Layer& layer) {
    const int64_t C = shape_.width, H = shape_.heads;
    backend_.rms_norm_forward(norm_, rstd_, x_, layer.attention_norm, EPS);
    backend_.matmul_forward(qkv_, norm_, layer.qkv, {}, {}, WeightLayout::out_in);
    backend_.query_key_forward(qkv_, query_key_rstd_, positions_, rotary_table_,
                               HeadShape{H, H, C / H, false, 0, true});
    backend_.copy(layer.keys_values.slice_rows(shape_.cached, shape_.block), qkv_.slice_cols(C, 2 * C));
    backend_.attention_forward(attention_, log_sum_exp_, qkv_.slice_cols(0, C), layer.keys_values.slice_cols(0, C),
                               layer.keys_values.slice_cols(C, C), attention_shape_);
    backend_.matmul_forward(x_, attention_, layer.attention_output, {}, x_, WeightLayout::out_in);
}

// x += down(swiglu(gate_up(norm(x))))
void BlockDecoder::mlp(const Layer& layer) {
    backend_.rms_norm_forward(norm_, rstd_, x_, layer.mlp_norm, EPS);
    backend_.matmul_activation_forward(hidden_, pre_, norm_, layer.gate_up, {}, Activation::swiglu,
                                       WeightLayout::out_in);
    backend_.matmul_forward(x_, hidden_, layer.down, {}, x_, WeightLayout::out_in);
}

void BlockDecoder::head() {
    backend_.masked_rows(predictions_.rows, first_, canvases_.tokens, plan_, mask_token_);
    backend_.gather_rows(gathered_, x_, predictions_.rows);
    backend_.rms_norm_forward(norm_, rstd_, gathered_, final_norm_, EPS);
    backend_.matmul_forward(logits_, norm_, head_, {}, {}, WeightLayout::out_in);
}

void BlockDecoder::commit() {
    backend_.predict_tokens(predictions_, logits_, plan_, shape_.block, {0, mask_token_});
    backend_.commit_tokens(canvases_, left_, predictions_, first_, plan_, CommitRule{});
}

std::vector<int32_t> BlockDecoder::tokens() const {
    std::vector<int32_t> tokens(size_t(shape_.block));
    backend_.download(tokens.data(), canvases_.tokens);
    int64_t committed = 0;
    for (const int32_t token : tokens) committed += token != mask_token_;
    if (committed != shape_.commits)
        throw std::runtime_error("a pass committed " + std::to_string(committed) + " tokens; expected " +
                                 std::to_string(shape_.commits));
    return tokens;
}

// Products with weights, and the two of attention.
double BlockDecoder::operations() const {
    const double C = double(shape_.width), F = double(shape_.mlp_width), N = double(shape_.block);
    const double layer = 4 * C * C + 3 * C * F + 2 * C * double(shape_.keys());
    return 2 * N * (double(shape_.layers) * layer + C * double(shape_.vocabulary));
}

// The weights but for the embedding, keys and values, and the logits, once written and once read.
double BlockDecoder::bytes() const {
    double bytes = bytes_of(head_) + 2 * bytes_of(logits_);
    for (const Layer& layer : layers_)
        for (const Tensor& x : {layer.qkv, layer.attention_output, layer.gate_up, layer.down, layer.keys_values})
            bytes += bytes_of(x);
    return bytes;
}

}  // namespace dllm
