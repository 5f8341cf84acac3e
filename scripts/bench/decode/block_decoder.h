// One forward pass of a model of LLaDA's architecture over the last block of a sequence whose earlier keys and values
// are cached, and what it commits: the backend's ops in one recording, with random weights. Written op by op, since the
// model itself keeps no keys and values.
#pragma once

#include "arena.h"
#include "backend.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace dllm {

struct DecoderShape {
    int64_t layers, heads, width, mlp_width, vocabulary;
    int64_t cached;  // positions before the block
    int64_t block;
    int64_t commits;  // positions that a pass commits

    int64_t keys() const { return cached + block; }
};

class BlockDecoder {
public:
    BlockDecoder(Backend& backend, const DecoderShape& shape);

    // Queues one pass over a block that is masked throughout.
    void run();
    // The block's tokens after the last pass. Throws unless it has committed what it should.
    std::vector<int32_t> tokens() const;

    // Of a pass, whose operands are each read or written once: multiplications and additions, and bytes.
    double operations() const;
    double bytes() const;

private:
    struct Layer {
        Tensor attention_norm, qkv, attention_output, mlp_norm, gate_up, down;  // weights (out, in)
        Tensor keys_values;                                                     // (keys, 2 C)
    };

    void lay_out_weights(Arena& arena);
    void lay_out_state(Arena& arena);
    void fill_weights();
    void fill_state();
    void pass();
    void attention(const Layer& layer);
    void mlp(const Layer& layer);
    void head();
    void commit();

    Backend& backend_;
    const DecoderShape shape_;
    const int32_t mask_token_;
    Arena weights_, state_;
    std::vector<Layer> layers_;
    Tensor token_table_, final_norm_, head_;
    Tensor x_, norm_, rstd_, qkv_, query_key_rstd_, attention_, log_sum_exp_, pre_, hidden_, gathered_, logits_;
    Tensor positions_, rotary_table_, tiles_;
    Tensor masked_, plan_, first_, left_;
    Canvases canvases_;
    Predictions predictions_;
    AttentionShape attention_shape_{};
    std::unique_ptr<Recording> recording_;
};

}  // namespace dllm
