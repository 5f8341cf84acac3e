// Checks of a model's configuration: nothing that passes may crash the core later.
#include "config.h"

#include "error.h"

#include <cmath>
#include <string>

namespace dllm {
namespace {

constexpr int64_t MAX_SIZE = int64_t(1) << 24;     // of any one dimension
constexpr int64_t MAX_CONTEXT = int64_t(1) << 20;  // bounds the table of rotary angles

void reject(const char* key, const std::string& found, const std::string& accepted) {
    fail(ErrorCode::config, std::string(key) + " is " + found + "; accepted: " + accepted);
}

void check_range(const char* key, int64_t value, int64_t minimum, int64_t maximum) {
    if (value < minimum || value > maximum)
        reject(key, std::to_string(value), std::to_string(minimum) + " to " + std::to_string(maximum));
}

void check_positive(const char* key, double value) {
    if (!(value > 0) || !std::isfinite(value)) reject(key, std::to_string(value), "a number above 0");
}

void check_norm(const char* key, const NormConfig& norm) {
    check_positive(key, norm.eps);
    if (norm.kind == NormKind::rms && norm.bias) reject(key, "an RMS norm with a bias", "bias with layer norm only");
}

}  // namespace

void validate(const ModelConfig& config) {
    check_range("layers", config.layers, 1, 1024);
    check_range("heads", config.heads, 1, 4096);
    check_range("kvHeads", config.kv_heads, 1, config.heads);
    check_range("width", config.width, 1, MAX_SIZE);
    check_range("mlpWidth", config.mlp_width, 1, MAX_SIZE);
    check_range("vocabSize", config.vocab_size, 2, MAX_SIZE);  // the mask token and another one
    check_range("contextLength", config.context_length, 1, MAX_CONTEXT);
    check_range("maskTokenId", config.mask_token_id, 0, config.vocab_size - 1);
    if (config.width % config.heads != 0)
        reject("width", std::to_string(config.width), "a multiple of heads (" + std::to_string(config.heads) + ")");
    if (config.heads % config.kv_heads != 0)
        reject("kvHeads", std::to_string(config.kv_heads), "a divisor of heads (" + std::to_string(config.heads) + ")");
    check_range("width / heads", config.head_width(), 1, MAX_HEAD_WIDTH);
    check_norm("norm.eps", config.norm);
    if (config.final_norm) check_norm("finalNorm.eps", *config.final_norm);
    if (config.positions == PositionKind::rotary) {
        check_positive("rotaryTheta", config.rotary_theta);
        if (config.head_width() % 2 != 0)
            reject("width / heads", std::to_string(config.head_width()), "an even number with rotary positions");
    }
    if (config.query_key_norm) check_positive("queryKeyNormEps", config.query_key_norm_eps);
    if (!(config.dropout >= 0 && config.dropout < 1))
        reject("dropout", std::to_string(config.dropout), "at least 0 and below 1");
    if (config.init == InitKind::normal) check_positive("initStd", config.init_std);
}

}  // namespace dllm
