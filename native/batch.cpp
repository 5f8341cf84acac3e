// Checks of a batch before any of it reaches a device.
#include "batch.h"

#include "error.h"

#include <cmath>
#include <string>

namespace dllm {
namespace {

std::string number(int64_t value) { return std::to_string(value); }

void check_size(const char* field, size_t found, const std::string& accepted, bool ok) {
    if (!ok)
        fail(ErrorCode::config,
             std::string("batch.") + field + " has " + number(int64_t(found)) + " elements; accepted: " + accepted);
}

void check_range(const char* field, const std::vector<int32_t>& values, int64_t minimum, int64_t limit) {
    for (size_t i = 0; i < values.size(); i++)
        if (values[i] < minimum || values[i] >= limit)
            fail(ErrorCode::config, std::string("batch.") + field + "[" + number(int64_t(i)) + "] is " +
                                        number(values[i]) + "; accepted: " + number(minimum) + " to " +
                                        number(limit - 1));
}

// The part of a field that belongs to some sequences; fields without one value per sequence stay whole.
template <class T>
std::vector<T> part(const std::vector<T>& values, int64_t per_sequence, int64_t sequences, int64_t first,
                    int64_t count) {
    if (int64_t(values.size()) != per_sequence * sequences) return values;
    return {values.begin() + first * per_sequence, values.begin() + (first + count) * per_sequence};
}

}  // namespace

Batch slice(const Batch& batch, int64_t first, int64_t count) {
    const int64_t B = batch.batch, T = batch.length;
    Batch result;
    result.batch = count, result.length = T;
    result.tokens = part(batch.tokens, T, B, first, count);
    result.targets = part(batch.targets, T, B, first, count);
    result.loss_weights = part(batch.loss_weights, T, B, first, count);
    result.attention = batch.attention;
    result.attention.mask = part(batch.attention.mask, T * T, B, first, count);
    result.positions = part(batch.positions, T, B, first, count);
    result.lengths = part(batch.lengths, 1, B, first, count);
    return result;
}

void validate(const Batch& batch, const ModelConfig& config, bool needs_targets) {
    const int64_t B = batch.batch, T = batch.length;
    if (B < 1) fail(ErrorCode::config, "batch.batch is " + number(B) + "; accepted: at least 1");
    if (T < 1) fail(ErrorCode::config, "batch.length is " + number(T) + "; accepted: at least 1");
    const bool doubled = batch.attention.kind == AttentionKind::block_diffusion;
    if (doubled && T % 2 != 0)
        fail(ErrorCode::config, "batch.length is " + number(T) + "; accepted for block_diffusion: an even number");
    const int64_t span = doubled ? T / 2 : T;
    if (batch.positions.empty() && span > config.context_length)
        fail(ErrorCode::config, "batch.length is " + number(T) + ", which needs a context of " + number(span) +
                                    " tokens; the model's is " + number(config.context_length));

    const size_t count = size_t(B * T);
    check_size("tokens", batch.tokens.size(), number(B * T) + " (batch * length)", batch.tokens.size() == count);
    check_range("tokens", batch.tokens, 0, config.vocab_size);
    if (needs_targets || !batch.targets.empty()) {
        check_size("targets", batch.targets.size(), number(B * T) + " (batch * length)", batch.targets.size() == count);
        check_size("lossWeights", batch.loss_weights.size(), number(B * T) + " (batch * length)",
                   batch.loss_weights.size() == count);
        for (size_t i = 0; i < count; i++) {
            const float weight = batch.loss_weights[i];
            if (!std::isfinite(weight))
                fail(ErrorCode::config, "batch.lossWeights[" + number(int64_t(i)) + "] is not finite");
            // The target of a row without weight is never read.
            if (weight != 0 && (batch.targets[i] < 0 || batch.targets[i] >= config.vocab_size))
                fail(ErrorCode::config, "batch.targets[" + number(int64_t(i)) + "] is " + number(batch.targets[i]) +
                                            "; accepted: 0 to " + number(config.vocab_size - 1));
        }
    }
    if (!batch.positions.empty()) {
        check_size("positions", batch.positions.size(), number(T) + " or " + number(B * T),
                   batch.positions.size() == size_t(T) || batch.positions.size() == count);
        check_range("positions", batch.positions, 0, config.context_length);
    }
    if (!batch.lengths.empty()) {
        check_size("lengths", batch.lengths.size(), number(B) + " (batch)", batch.lengths.size() == size_t(B));
        check_range("lengths", batch.lengths, 1, T + 1);
    }
}

}  // namespace dllm
