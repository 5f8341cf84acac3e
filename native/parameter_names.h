// The tensor names of each published family.
#pragma once

#include "config.h"

#include <string>
#include <vector>

namespace dllm {

struct ParameterNames {
    explicit ParameterNames(Naming naming);

    // Prefix of layer l's names.
    std::string layer(int64_t l) const { return layer_prefix + std::to_string(l) + "."; }

    std::string token_embedding, position_embedding, final_norm, head, layer_prefix;
    // Within a layer:
    std::vector<std::string> qkv;  // one fused tensor, or query, key, value
    std::string attention_norm, attention_output, mlp_norm, gate, up, down;
};

}  // namespace dllm
