// The parameter table of a model, built from its configuration.
#include "parameters.h"

#include "parameter_names.h"

#include <cmath>

namespace dllm {
namespace {

constexpr int64_t ALIGNMENT = 16;  // elements: 64 bytes

// One matrix (or vector) of a group: tensors that lie side by side and are used as one.
struct Member {
    std::string name;
    int64_t outputs;
};

class TableBuilder {
public:
    TableBuilder(const ModelConfig& config, ParameterTable& table) : config_(config), table_(table) {}

    // Linear weights; several members share their input. Residual outputs start smaller.
    Slot linear(const std::vector<Member>& members, int64_t inputs, bool residual_output = false) {
        const bool in_out = config_.weight_layout() == WeightLayout::in_out;
        int64_t outputs = 0;
        const int64_t begin = align(decayed_);
        for (const Member& member : members) {
            const auto shape =
                in_out ? std::vector<int64_t>{inputs, member.outputs} : std::vector<int64_t>{member.outputs, inputs};
            add(decayed_, member.name, shape, weight_init(inputs, residual_output));
            outputs += member.outputs;
        }
        return in_out ? Slot{begin, inputs, outputs} : Slot{begin, outputs, inputs};
    }

    Slot linear_bias(bool present, const std::vector<Member>& members, int64_t inputs) {
        if (!present) return {};
        int64_t outputs = 0;
        const int64_t begin = align(rest_);
        for (const Member& member : members) {
            add(rest_, member.name, {member.outputs}, bias_init(inputs));
            outputs += member.outputs;
        }
        return {begin, 1, outputs};
    }

    Slot embedding(const std::string& name, int64_t rows, int64_t cols) {
        const int64_t begin = align(decayed_);
        const float scale = config_.init == InitKind::normal ? config_.init_std : 1.0f;
        add(decayed_, name, {rows, cols}, {InitialValues::normal, scale});
        return {begin, rows, cols};
    }

    Slot head(const std::string& name) {
        const int64_t begin = align(decayed_);
        add(decayed_, name, {config_.vocab_size, config_.width}, weight_init(config_.width, false));
        return {begin, config_.vocab_size, config_.width};
    }

    Slot norm_weight(const std::string& name) {
        const int64_t begin = align(rest_);
        add(rest_, name, {config_.width}, {InitialValues::ones, 0});
        return {begin, 1, config_.width};
    }

    Slot norm_bias(bool present, const std::string& name) {
        if (!present) return {};
        const int64_t begin = align(rest_);
        add(rest_, name, {config_.width}, {InitialValues::zeros, 0});
        return {begin, 1, config_.width};
    }

    // Undecayed tensors were placed from 0; moves them behind the decayed ones.
    void finish() {
        table_.decayed_size = align(decayed_);
        table_.size = table_.decayed_size + align(rest_);
        for (Parameter& parameter : table_.parameters) {
            if (parameter.shape.size() < 2) parameter.offset += table_.decayed_size;
            table_.parameter_count += parameter.count;
        }
        auto move = [&](Slot& slot) {
            if (slot.rows == 1) slot.offset += table_.decayed_size;
        };
        for (LayerSlots& layer : table_.layers)
            for (Slot* slot :
                 {&layer.attention_norm, &layer.attention_norm_bias, &layer.qkv_bias, &layer.attention_output_bias,
                  &layer.mlp_norm, &layer.mlp_norm_bias, &layer.mlp_in_bias, &layer.mlp_out_bias})
                move(*slot);
        for (Slot* slot : {&table_.final_norm, &table_.final_norm_bias, &table_.head_bias}) move(*slot);
    }

private:
    struct Init {
        InitialValues values;
        float scale;
    };

    static int64_t align(int64_t& offset) { return offset = (offset + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

    Init weight_init(int64_t inputs, bool residual_output) const {
        if (config_.init == InitKind::pytorch) return {InitialValues::uniform, 1.0f / std::sqrt(float(inputs))};
        const float shrink = residual_output ? std::sqrt(2.0f * float(config_.layers)) : 1.0f;
        return {InitialValues::normal, config_.init_std / shrink};
    }

    Init bias_init(int64_t inputs) const {
        if (config_.init == InitKind::pytorch) return {InitialValues::uniform, 1.0f / std::sqrt(float(inputs))};
        return {InitialValues::zeros, 0};
    }

    void add(int64_t& offset, const std::string& name, const std::vector<int64_t>& shape, Init init) {
        int64_t count = 1;
        for (const int64_t size : shape) count *= size;
        table_.parameters.push_back({name, shape, offset, count, init.values, init.scale});
        offset += count;
    }

    const ModelConfig& config_;
    ParameterTable& table_;
    int64_t decayed_ = 0;
    int64_t rest_ = 0;
};

}  // namespace

ParameterTable make_parameter_table(const ModelConfig& config) {
    ParameterTable table;
    TableBuilder builder(config, table);
    const ParameterNames names(config.naming);
    const int64_t C = config.width, F = config.mlp_width;
    const int64_t query = config.heads * config.head_width(), key = config.kv_heads * config.head_width();

    table.token_embedding = builder.embedding(names.token_embedding, config.vocab_size, C);
    if (config.positions == PositionKind::learned)
        table.position_embedding = builder.embedding(names.position_embedding, config.context_length, C);

    for (int64_t l = 0; l < config.layers; l++) {
        const std::string block = names.layer(l);
        // Families differ in whether q, k, v (and gate, up) are one tensor or several.
        auto members = [&](const std::vector<std::string>& parts, const std::vector<int64_t>& outputs,
                           const char* suffix) {
            std::vector<Member> result;
            for (size_t i = 0; i < parts.size(); i++) result.push_back({block + parts[i] + suffix, outputs[i]});
            return result;
        };
        const std::vector<int64_t> qkv_outputs =
            names.qkv.size() == 1 ? std::vector<int64_t>{query + 2 * key} : std::vector<int64_t>{query, key, key};
        const bool gated = config.mlp == Activation::swiglu;
        const std::vector<std::string> mlp_in = gated ? std::vector{names.gate, names.up} : std::vector{names.up};
        const std::vector<int64_t> mlp_outputs = gated ? std::vector{F, F} : std::vector{F};

        LayerSlots layer;
        layer.attention_norm = builder.norm_weight(block + names.attention_norm + ".weight");
        layer.attention_norm_bias = builder.norm_bias(config.norm.bias, block + names.attention_norm + ".bias");
        layer.qkv = builder.linear(members(names.qkv, qkv_outputs, ".weight"), C);
        layer.qkv_bias = builder.linear_bias(config.qkv_bias, members(names.qkv, qkv_outputs, ".bias"), C);
        layer.attention_output = builder.linear({{block + names.attention_output + ".weight", C}}, query, true);
        layer.attention_output_bias =
            builder.linear_bias(config.attention_output_bias, {{block + names.attention_output + ".bias", C}}, query);
        layer.mlp_norm = builder.norm_weight(block + names.mlp_norm + ".weight");
        layer.mlp_norm_bias = builder.norm_bias(config.norm.bias, block + names.mlp_norm + ".bias");
        layer.mlp_in = builder.linear(members(mlp_in, mlp_outputs, ".weight"), C);
        layer.mlp_in_bias = builder.linear_bias(config.mlp_bias, members(mlp_in, mlp_outputs, ".bias"), C);
        layer.mlp_out = builder.linear({{block + names.down + ".weight", C}}, F, true);
        layer.mlp_out_bias = builder.linear_bias(config.mlp_bias, {{block + names.down + ".bias", C}}, F);
        table.layers.push_back(layer);
    }

    if (config.final_norm) {
        table.final_norm = builder.norm_weight(names.final_norm + ".weight");
        table.final_norm_bias = builder.norm_bias(config.final_norm->bias, names.final_norm + ".bias");
    }
    // The head is always stored [V, C], like the embedding that it may be tied to.
    table.head = config.tied_head ? table.token_embedding : builder.head(names.head + ".weight");
    table.head_bias = builder.linear_bias(config.head_bias, {{names.head + ".bias", config.vocab_size}}, C);
    builder.finish();
    return table;
}

const Parameter* ParameterTable::find(const std::string& name) const {
    for (const Parameter& parameter : parameters)
        if (parameter.name == name) return &parameter;
    return nullptr;
}

}  // namespace dllm
