// Checkpoint files: see checkpoint.h.
#include "checkpoint.h"

#include "error.h"
#include "parameter_names.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
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

const TensorEntry& find_tensor(const SafetensorsFile& file, const std::string& name,
                               const std::vector<int64_t>& shape) {
    const TensorEntry* entry = file.find(name);
    if (entry == nullptr) fail(ErrorCode::checkpoint, file.path() + ": tensor " + name + " is missing");
    if (entry->shape != shape)
        fail(ErrorCode::checkpoint, file.path() + ": tensor " + name + " has shape " + shape_text(entry->shape) +
                                        "; the configuration asks for " + shape_text(shape));
    return *entry;
}

int64_t read_counter(const SafetensorsFile& file, const std::string& key) {
    const auto found = file.metadata.find(key);
    const std::string text = found == file.metadata.end() ? "" : found->second;
    int64_t value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    constexpr int64_t MAX_STEPS = int64_t(1) << 53;  // far beyond any run, and safe to count on from
    if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > MAX_STEPS)
        fail(ErrorCode::checkpoint,
             file.path() + ": metadata " + key + " is \"" + text + "\"; accepted: a number of steps");
    return value;
}

std::vector<TensorSource> sources(const std::string& prefix, const float* buffer, const ParameterTable& table) {
    std::vector<TensorSource> result;
    for (const Parameter& parameter : table.parameters)
        result.push_back({prefix + parameter.name, "F32", parameter.shape, buffer + parameter.offset});
    return result;
}

}  // namespace

WeightsFile::WeightsFile(const std::string& path, const ParameterTable& table, const ModelConfig& config)
    : file_(path) {
    if (config.naming == Naming::gpt2 &&
        file_.find(std::string(GPT2_PREFIX) + table.parameters.front().name) != nullptr)
        prefix_ = GPT2_PREFIX;
    std::set<std::string, std::less<>> known;
    for (const Parameter& parameter : table.parameters) {
        find_tensor(file_, prefix_ + parameter.name, parameter.shape);
        known.insert(prefix_ + parameter.name);
    }
    const std::string head = ParameterNames(config.naming).head + ".weight";
    if (config.tied_head && file_.find(head) != nullptr) {
        find_tensor(file_, head, table.parameters.front().shape);
        known.insert(tied_head_ = head);
    }
    for (const TensorEntry& entry : file_.tensors())
        if (!known.contains(entry.name) && !is_known_buffer(entry.name))
            fail(ErrorCode::checkpoint, path + ": tensor " + entry.name + " is not part of the configured model");
}

void WeightsFile::read(float* buffer, const ParameterTable& table) const {
    std::fill(buffer, buffer + table.size, 0.0f);
    for (const Parameter& parameter : table.parameters)
        file_.read_f32(*file_.find(prefix_ + parameter.name), buffer + parameter.offset);
    if (tied_head_.empty()) return;
    // A tied head may be stored all the same; it must then be the embedding.
    const Parameter& embedding = table.parameters.front();
    std::vector<float> head(static_cast<size_t>(embedding.count));
    file_.read_f32(*file_.find(tied_head_), head.data());
    if (std::memcmp(head.data(), buffer + embedding.offset, head.size() * sizeof(float)) != 0)
        fail(ErrorCode::checkpoint, file_.path() + ": tensor " + tied_head_ + " differs from " + embedding.name +
                                        ", but the configuration ties the head to the embedding");
}

void write_weights(const std::string& path, const float* buffer, const ParameterTable& table) {
    write_safetensors(path, sources("", buffer, table), {{"format", "pt"}});
}

void write_trainer_state(const std::string& path, const float* first_moment, const float* second_moment,
                         const TrainerRecord& record, const ParameterTable& table) {
    std::vector<TensorSource> tensors = sources("first_moment.", first_moment, table);
    const std::vector<TensorSource> second = sources("second_moment.", second_moment, table);
    tensors.insert(tensors.end(), second.begin(), second.end());
    std::map<std::string, std::string> metadata = {{"completed_steps", std::to_string(record.completed_steps)},
                                                   {"updates", std::to_string(record.updates)}};
    if (!record.plans.empty()) metadata["plans"] = record.plans;
    write_safetensors(path, tensors, metadata);
}

TrainerRecord read_trainer_state(float* first_moment, float* second_moment, const std::string& path,
                                 const ParameterTable& table) {
    const SafetensorsFile file(path);
    for (const Parameter& parameter : table.parameters) {
        const auto read = [&](const std::string& moment, float* buffer) {
            file.read_f32(find_tensor(file, moment + parameter.name, parameter.shape), buffer + parameter.offset);
        };
        read("first_moment.", first_moment);
        read("second_moment.", second_moment);
    }
    const auto plans = file.metadata.find("plans");
    const TrainerRecord record{read_counter(file, "completed_steps"), read_counter(file, "updates"),
                               plans == file.metadata.end() ? "" : plans->second};
    if (record.updates > record.completed_steps)
        fail(ErrorCode::checkpoint, path + ": metadata updates is " + std::to_string(record.updates) +
                                        "; accepted: at most completed_steps, " +
                                        std::to_string(record.completed_steps));
    return record;
}

}  // namespace dllm
