// Small configurations of every family for tests of the core.
#pragma once

#include "backend.h"
#include "config.h"
#include "model.h"

#include <memory>

namespace dllm {

inline ModelConfig small_config(Naming naming) {
    ModelConfig config{};
    config.naming = naming;
    config.layers = 2, config.heads = 4, config.kv_heads = 4, config.width = 24, config.mlp_width = 40;
    config.vocab_size = 19, config.context_length = 32, config.mask_token_id = 18;
    config.norm = {NormKind::rms, 1e-5f, false};
    config.final_norm = config.norm;
    config.positions = PositionKind::rotary, config.rotary_theta = 1e4;
    config.mlp = Activation::swiglu;
    config.query_key_norm_eps = 1e-6f;
    config.init = InitKind::normal, config.init_std = 0.2f;
    switch (naming) {
        case Naming::gpt2:
            config.norm = {NormKind::layer, 1e-5f, true};
            config.final_norm = config.norm;
            config.positions = PositionKind::learned, config.mlp = Activation::gelu;
            config.qkv_bias = config.attention_output_bias = config.mlp_bias = config.tied_head = true;
            break;
        case Naming::llama: config.kv_heads = 2, config.qkv_bias = true, config.query_key_norm = true; break;
        case Naming::llada: break;
        case Naming::nanollada:
            config.final_norm.reset();
            config.positions = PositionKind::learned, config.mlp = Activation::silu;
            config.attention_output_bias = config.head_bias = true, config.init = InitKind::pytorch;
            break;
    }
    return config;
}

constexpr Naming ALL_NAMINGS[] = {Naming::gpt2, Naming::llama, Naming::llada, Naming::nanollada};

inline std::shared_ptr<Model> small_model(std::unique_ptr<Backend> backend, Naming naming, uint64_t seed,
                                          float dropout = 0) {
    ModelConfig config = small_config(naming);
    config.dropout = dropout;
    return std::make_shared<Model>(std::move(backend), config, seed);
}

inline std::shared_ptr<Model> small_model(Naming naming, uint64_t seed = 1) {
    return small_model(make_cpu_backend(), naming, seed);
}

}  // namespace dllm
