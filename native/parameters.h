// Every parameter of a model: name, shape, place in one flat buffer, initial values, weight decay.
//
// The buffer holds the decayed tensors (two dimensions) first, then the rest, so that the optimizer runs over two
// ranges. Tensors that are multiplied together (q, k, v; gate, up) lie side by side and are seen as one matrix.
#pragma once

#include "config.h"
#include "tensor.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dllm {

enum class InitialValues { zeros, ones, normal, uniform };

struct Parameter {
    std::string name;
    std::vector<int64_t> shape;
    int64_t offset;  // in elements from the start of the buffer
    int64_t count;
    InitialValues initial_values;
    float scale;  // standard deviation, or half width of the uniform range
};

// A matrix within a flat buffer; rows == 0 when the model has no such parameter.
struct Slot {
    int64_t offset = 0;
    int64_t rows = 0;
    int64_t cols = 0;

    Tensor in(Tensor buffer) const {
        if (rows == 0) return {};
        return buffer.slice_cols(offset, rows * cols).reshape(rows, cols);
    }
};

struct LayerSlots {
    Slot attention_norm, attention_norm_bias;
    Slot qkv, qkv_bias;
    Slot attention_output, attention_output_bias;
    Slot mlp_norm, mlp_norm_bias;
    Slot mlp_in, mlp_in_bias;  // gate and up side by side for swiglu
    Slot mlp_out, mlp_out_bias;
};

struct ParameterTable {
    std::vector<Parameter> parameters;  // in the order of the forward pass
    int64_t size = 0;                   // elements of the buffer, padding included
    int64_t decayed_size = 0;           // the leading elements that weight decay applies to
    int64_t parameter_count = 0;        // without padding

    Slot token_embedding, position_embedding;
    std::vector<LayerSlots> layers;
    Slot final_norm, final_norm_bias;
    Slot head, head_bias;  // head is token_embedding when tied

    // Null when there is none of that name.
    const Parameter* find(const std::string& name) const;
};

ParameterTable make_parameter_table(const ModelConfig& config);

// Writes initial values for every parameter into a host buffer of table.size floats (padding zero).
void initialize_parameters(float* buffer, const ParameterTable& table, uint64_t seed);

}  // namespace dllm
