// The tensor names of each published family: see parameter_names.h.
#include "parameter_names.h"

namespace dllm {

ParameterNames::ParameterNames(Naming naming) {
    switch (naming) {
        case Naming::gpt2:
            token_embedding = "wte.weight", position_embedding = "wpe.weight", final_norm = "ln_f", head = "lm_head";
            layer_prefix = "h.", qkv = {"attn.c_attn"}, attention_norm = "ln_1", attention_output = "attn.c_proj";
            mlp_norm = "ln_2", gate = "mlp.c_gate", up = "mlp.c_fc", down = "mlp.c_proj";
            break;
        case Naming::llama:
            token_embedding = "model.embed_tokens.weight", position_embedding = "model.embed_positions.weight";
            final_norm = "model.norm", head = "lm_head", layer_prefix = "model.layers.";
            qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
            attention_norm = "input_layernorm", attention_output = "self_attn.o_proj";
            mlp_norm = "post_attention_layernorm", gate = "mlp.gate_proj", up = "mlp.up_proj", down = "mlp.down_proj";
            break;
        case Naming::llada:
            token_embedding = "model.transformer.wte.weight", position_embedding = "model.transformer.wpe.weight";
            final_norm = "model.transformer.ln_f", head = "model.transformer.ff_out";
            layer_prefix = "model.transformer.blocks.", qkv = {"q_proj", "k_proj", "v_proj"};
            attention_norm = "attn_norm", attention_output = "attn_out";
            mlp_norm = "ff_norm", gate = "ff_proj", up = "up_proj", down = "ff_out";
            break;
        case Naming::nanollada:
            token_embedding = "token_emb.weight", position_embedding = "pos_emb.weight", final_norm = "norm";
            head = "lm_head", layer_prefix = "layers.", qkv = {"attention.att_weights"};
            attention_norm = "norm1", attention_output = "attention.output_proj";
            mlp_norm = "norm2", gate = "mlp.gate_layer", up = "mlp.first_layer", down = "mlp.second_layer";
            break;
    }
}

}  // namespace dllm
