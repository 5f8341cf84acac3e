// The models that the native benchmarks run: GPT-2's architecture, or our own (rotary, RMS norm, query/key norm).
#pragma once

#include "config.h"

#include <cstdint>

namespace dllm {

struct BenchModel {
    bool gpt2;
    int64_t layers, heads, width, context, vocabulary;

    ModelConfig config() const;
};

inline ModelConfig BenchModel::config() const {
    ModelConfig c{};
    c.naming = gpt2 ? Naming::gpt2 : Naming::llama;
    c.layers = layers, c.heads = c.kv_heads = heads, c.width = width;
    c.mlp_width = 4 * width;
    c.vocab_size = vocabulary, c.context_length = context;
    c.mask_token_id = int32_t(vocabulary - 1);
    c.norm = gpt2 ? NormConfig{NormKind::layer, 1e-5f, true} : NormConfig{NormKind::rms, 1e-5f, false};
    c.final_norm = c.norm;
    c.positions = gpt2 ? PositionKind::learned : PositionKind::rotary;
    c.rotary_theta = 1e4;
    c.qkv_bias = c.attention_output_bias = c.mlp_bias = c.tied_head = true;
    c.mlp = Activation::gelu;
    c.query_key_norm = !gpt2, c.query_key_norm_eps = 1e-6f;
    c.init = InitKind::normal, c.init_std = 0.02f;
    return c;
}

}  // namespace dllm
