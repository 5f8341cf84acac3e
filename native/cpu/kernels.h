// What an instruction set must provide: kernels over ranges of rows. Sizes are already checked, threads already split.
// Compiled for every instruction set, so nothing here may have code of its own that the linker could share between
// them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dllm {

// Element (r, c) of a matrix product's operand is data[r * row_stride + c * column_stride].
struct Operand {
    const float* data;
    int64_t row_stride;
    int64_t column_stride;
};

// Rows of equal width, `stride` floats apart.
struct Rows {
    float* data;
    int64_t stride;
};
struct ConstRows {
    const float* data;
    int64_t stride;
};

// x -> out over rows x columns of the output
using RowsForward = void (*)(Rows out, ConstRows x, int64_t rows, int64_t columns);
using RowsBackward = void (*)(Rows dx, ConstRows dout, ConstRows x, int64_t rows, int64_t columns);

// out (rows, columns) = a (rows, depth) b + addend + bias
struct ProductBlock {
    Rows out;
    Operand a;
    const float* row_tiles;  // a packed by pack_rows; null: a is read in place
    const float* panels;     // b packed by pack_panels
    int64_t rows;
    int64_t columns;
    int64_t depth;
    ConstRows addend;        // null data: none; may be out
    const float* bias;       // null: none
    RowsForward activation;  // null: none
    Rows activated;          // activation(out)
};

// How operands are packed and multiplied. A packed operand is made of words of 32 bits: one number in float32, or two
// neighbours of the depth in bfloat16. Along the depth, zeros fill it up to a multiple of `depth_multiple`.
struct ProductKernels {
    const char* name;
    int64_t depth_block;  // fixed, because it decides where an element's sum is cut: never by threads or rows
    int64_t depth_multiple;
    int64_t elements_per_word;
    // Panels hold `panel_columns` columns of b, word by word of the depth; the last only as many whole vectors as it
    // needs.
    int64_t panel_columns;
    void (*pack_panels)(float* panels, Operand b, int64_t depth, int64_t columns);
    // Tiles first ... last - 1 of a; a tile has at most `tile_rows` rows, and room for as many.
    int64_t tile_rows;
    void (*pack_rows)(float* tiles, Operand a, int64_t rows, int64_t depth, int64_t first, int64_t last);
    bool reads_rows_in_place;  // where a's rows are rows in memory too
    void (*product)(const ProductBlock& block);
};

// One sequence and one key/value head with the query heads that share it.
struct AttentionUnit {
    ConstRows q, k, v;
    const float* log_sum_exp;  // of the group's first head; the next head's is query_length further
    const int32_t* tiles;      // this sequence's (query tiles, key_tiles)
    const int32_t* bits;       // two words for each of a tile's rows
    int64_t group;             // query heads
    int64_t head_width;
    int64_t query_length;  // rows of q
    int64_t queries;       // rows of q inside the sequence
    int64_t keys;          // rows of k inside the sequence
    int64_t key_tiles;     // row stride of tiles
    float scale;
    float* scratch;
};

struct AttentionForward {
    AttentionUnit unit;
    Rows out;
    float* log_sum_exp;
    int64_t first_tile, last_tile;  // query tiles of this call, over the group's heads one after the other
};

struct AttentionBackward {
    AttentionUnit unit;
    Rows dq, dk, dv;
    ConstRows dout, out;
    int64_t key_length;  // rows of k, inside the sequence or not
};

struct AdamWFactors {
    float gradient_scale;
    float learning_rate;
    float beta1, beta2;
    float epsilon;
    float decay;  // 1 - learning_rate * weight_decay
    float bias_correction1, bias_correction2;
};

struct HeadRows {
    int64_t heads;  // normed and rotated
    int64_t head_width;
    bool normalize;
    float eps;
    const float* rotary_table;  // null: no rotation
    int64_t rotary_stride;
};

struct NoiseKey {
    uint32_t key0, key1;
    uint32_t position, step, stream;
};

// The unbanned tokens with a larger logit than some token, or with the same and a lower id.
struct TokensAhead {
    int64_t count;
    double mass;   // their probabilities at a temperature, and those of all unbanned tokens, both relative to the
    double total;  // probability of the token itself
};

struct Kernels {
    const char* name;

    // ---- matrix product ----
    ProductKernels float32;
    ProductKernels rounded;  // the same on operands that are rounded to bfloat16 while they are packed
    // out[c] += sum over rows of x[r][c]
    void (*column_sums)(float* out, ConstRows x, int64_t rows, int64_t columns);

    // ---- attention ----
    int64_t (*attention_forward_scratch)(int64_t head_width, int64_t keys);  // floats
    int64_t (*attention_backward_scratch)(int64_t head_width, int64_t keys);
    void (*attention_forward)(const AttentionForward& forward);
    void (*attention_backward)(const AttentionBackward& backward);

    // ---- rows ----
    void (*add)(float* out, const float* a, const float* b, int64_t columns);
    void (*layer_norm_forward)(Rows out, float* mean, float* rstd, ConstRows x, const float* weight, const float* bias,
                               float eps, int64_t rows, int64_t columns);
    // dx += ...; dweight and dbias (may be null) receive the sums over these rows
    void (*layer_norm_backward)(Rows dx, float* dweight, float* dbias, ConstRows dout, ConstRows x, const float* weight,
                                const float* mean, const float* rstd, int64_t rows, int64_t columns);
    void (*rms_norm_forward)(Rows out, float* rstd, ConstRows x, const float* weight, float eps, int64_t rows,
                             int64_t columns);
    void (*rms_norm_backward)(Rows dx, float* dweight, ConstRows dout, ConstRows x, const float* weight,
                              const float* rstd, int64_t rows, int64_t columns);
    RowsForward activation_forward[3];  // by Activation
    RowsBackward activation_backward[3];
    void (*query_key_forward)(Rows qkv, Rows rstd, const int32_t* positions, const HeadRows& shape, int64_t rows);
    void (*query_key_backward)(Rows dqkv, ConstRows qkv, ConstRows rstd, const int32_t* positions,
                               const HeadRows& shape, int64_t rows);

    // ---- one row of logits ----
    // logits become weight * (softmax - one-hot of target); returns weight * nll
    double (*cross_entropy)(float* logits, int64_t columns, int32_t target, float weight);
    int32_t (*argmax)(const float* logits, int64_t columns, int32_t banned);
    int32_t (*noisy_argmax)(const float* logits, int64_t columns, int32_t banned, float temperature,
                            const NoiseKey& noise);
    // Of a noisy winner. `ahead` (columns) receives their logits, and minus infinity for all others.
    TokensAhead (*tokens_ahead)(float* ahead, const float* logits, int64_t columns, int32_t token, int32_t banned,
                                float temperature);
    float (*softmax_at)(const float* logits, int64_t columns, int32_t token);
    float (*margin)(const float* logits, int64_t columns);  // the largest probability less the second largest
    float (*negative_entropy)(const float* logits, int64_t columns);

    // out = residual + kept x * scale over one row's columns; an element is kept when its draw reaches the threshold
    void (*dropout)(float* out, const float* x, const float* residual, int64_t columns, uint32_t threshold, float scale,
                    const NoiseKey& noise);

    // ---- optimizer ----
    double (*square_sum)(const float* x, int64_t count);
    void (*adamw)(float* weights, float* first_moment, float* second_moment, const float* gradients,
                  const AdamWFactors& factors, int64_t count);
    // out += rest (x - out)
    void (*moving_average)(float* out, const float* x, float rest, int64_t count);
};

// ---- what the architecture offers: isa/paths_*.cpp, isa/bfloat16_*.cpp ----
struct KernelPath {
    const Kernels* kernels;
    bool (*usable)();
};

// Instructions for products in bfloat16, and the instruction-set path that takes them by itself where they pay.
struct Bfloat16Path {
    const ProductKernels* products;
    const char* path;
    bool (*usable)();
    bool (*pays)();  // usable, and faster than `rounded`
};

const std::vector<KernelPath>& kernel_paths();      // best first
const std::vector<Bfloat16Path>& bfloat16_paths();  // best first; without `rounded`, which every path has

// ---- the choice: kernels.cpp ----
std::vector<std::string> usable_paths();  // best first
// Throws ERR_CONFIG for a path that is unknown or that this CPU cannot run.
const Kernels& kernels_of(const std::string& path);
// The best usable path, or the one DLLM_CPU names; chosen once per process.
const Kernels& kernels();

std::vector<std::string> usable_bfloat16_products();  // best first
// Throws ERR_CONFIG for a name that is unknown or that this CPU cannot run.
const ProductKernels& bfloat16_products_of(const Kernels& kernels, const std::string& name);
// The best that goes with kernels(), or the one DLLM_CPU_BFLOAT16 names; chosen once per process.
const ProductKernels& bfloat16_products();

}  // namespace dllm
