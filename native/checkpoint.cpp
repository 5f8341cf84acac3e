// Checkpoint files: see checkpoint.h.
#include "checkpoint.h"

#include "error.h"
#include "safetensors.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>
#include <string_view>

namespace dllm {
namespace {

constexpr std::string_view GPT2_PREFIX = "transformer.";

std::string shape_text(const std::vector<int64_t>& shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); i++) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

// Causal-mask buffers and rotary frequencies: constants that some published files carry beside the weights.
bool is_known_buffer(std::string_view name) {
    for (const std::string_view suffix : {".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"})
        if (name.ends_with(suffix)) return true;
    return false;
}

void read_parameter(float* buffer, const SafetensorsFile& file, const std::string& name, const Parameter& parameter) {
    const TensorEntry* entry = file.find(name);
    if (entry == nullptr) fail(ErrorCode::checkpoint, file.path() + ": tensor " + name + " is missing");
    if (entry->shape != parameter.shape)
        fail(ErrorCode::checkpoint, file.path() + ": tensor " + name + " has shape " + shape_text(entry->shape) +
                                        "; the configuration asks for " + shape_text(parameter.shape));
    file.read_f32(*entry, buffer + parameter.offset);
}

std::vector<TensorSource> sources(const std::string& prefix, const float* buffer, const ParameterTable& table) {
    std::vector<TensorSource> result;
    for (const Parameter& parameter : table.parameters)
        result.push_back({prefix + parameter.name, "F32", parameter.shape, buffer + parameter.offset});
    return result;
}

// A tied head may be stored all the same; it must then be the embedding.
void check_tied_head(const float* buffer, const SafetensorsFile& file, const ParameterTable& table) {
    const TensorEntry* head = file.find("lm_head.weight");
    if (head == nullptr) return;
    const Parameter& embedding = table.parameters.front();
    if (head->shape != embedding.shape)
        fail(ErrorCode::checkpoint, file.path() + ": tensor lm_head.weight has shape " + shape_text(head->shape) +
                                        "; a tied head asks for " + shape_text(embedding.shape));
    std::vector<float> values(static_cast<size_t>(embedding.count));
    file.read_f32(*head, values.data());
    if (std::memcmp(values.data(), buffer + embedding.offset, values.size() * sizeof(float)) != 0)
        fail(ErrorCode::checkpoint, file.path() + ": tensor lm_head.weight differs from " + embedding.name +
                                        ", but the configuration ties the head to the embedding");
}

}  // namespace

void read_weights(float* buffer, const std::string& path, const ParameterTable& table, const ModelConfig& config) {
    const SafetensorsFile file(path);
    std::fill(buffer, buffer + table.size, 0.0f);
    const bool prefixed =
        config.naming == Naming::gpt2 && file.find(std::string(GPT2_PREFIX) + table.parameters.front().name) != nullptr;
    const std::string prefix = prefixed ? std::string(GPT2_PREFIX) : "";
    std::set<std::string, std::less<>> known;
    for (const Parameter& parameter : table.parameters) {
        read_parameter(buffer, file, prefix + parameter.name, parameter);
        known.insert(prefix + parameter.name);
    }
    if (config.tied_head) {
        check_tied_head(buffer, file, table);
        known.insert("lm_head.weight");
    }
    for (const TensorEntry& entry : file.tensors())
        if (!known.contains(entry.name) && !is_known_buffer(entry.name))
            fail(ErrorCode::checkpoint, path + ": tensor " + entry.name + " is not part of the configured model");
}

void write_weights(const std::string& path, const float* buffer, const ParameterTable& table) {
    write_safetensors(path, sources("", buffer, table), {{"format", "pt"}});
}

void write_trainer_state(const std::string& path, const float* first_moment, const float* second_moment,
                         int64_t completed_steps, const ParameterTable& table) {
    std::vector<TensorSource> tensors = sources("first_moment.", first_moment, table);
    const std::vector<TensorSource> second = sources("second_moment.", second_moment, table);
    tensors.insert(tensors.end(), second.begin(), second.end());
    write_safetensors(path, tensors, {{"completed_steps", std::to_string(completed_steps)}});
}

int64_t read_trainer_state(float* first_moment, float* second_moment, const std::string& path,
                           const ParameterTable& table) {
    const SafetensorsFile file(path);
    for (const Parameter& parameter : table.parameters) {
        read_parameter(first_moment, file, "first_moment." + parameter.name, parameter);
        read_parameter(second_moment, file, "second_moment." + parameter.name, parameter);
    }
    const auto found = file.metadata.find("completed_steps");
    const std::string text = found == file.metadata.end() ? "" : found->second;
    int64_t steps = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), steps);
    if (error != std::errc{} || end != text.data() + text.size() || steps < 0)
        fail(ErrorCode::checkpoint, path + ": metadata completed_steps is \"" + text + "\"; accepted: a step number");
    return steps;
}

}  // namespace dllm
