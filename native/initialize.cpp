// Initial parameter values, each a function of (seed, tensor, element) alone.
#include "parameters.h"
#include "rng.h"
#include "thread_pool.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dllm {
namespace {

constexpr int64_t GROUP = 4;        // elements that one Philox block serves
constexpr int64_t RANGE = 1 << 14;  // elements that one thread makes at a time, whole groups

// Four standard normal values by Box-Muller, one pair of words for each pair of values.
void normal_values(float (&values)[GROUP], const PhiloxBlock& bits) {
    for (int pair = 0; pair < GROUP; pair += 2) {
        const double radius = std::sqrt(-2 * std::log((bits.words[pair] + 0.5) * 0x1p-32));
        const double angle = 2 * std::numbers::pi * uniform(bits.words[pair + 1]);
        values[pair] = float(radius * std::cos(angle));
        values[pair + 1] = float(radius * std::sin(angle));
    }
}

// Elements [first, end) of a parameter; first is a multiple of GROUP.
void random_values(float* out, const Parameter& parameter, PhiloxKey key, int64_t first, int64_t end) {
    for (int64_t begin = first; begin < end; begin += GROUP) {
        const PhiloxBlock bits = philox(key, {{uint32_t(begin / GROUP), 0, 0, uint32_t(Stream::init)}});
        float values[GROUP];
        if (parameter.initial_values == InitialValues::normal)
            normal_values(values, bits);
        else
            for (int64_t i = 0; i < GROUP; i++) values[i] = float(2 * uniform(bits.words[i]) - 1);
        for (int64_t i = 0; i < std::min(GROUP, end - begin); i++) out[begin + i] = parameter.scale * values[i];
    }
}

}  // namespace

void initialize_parameters(float* buffer, const ParameterTable& table, uint64_t seed) {
    parallel_ranges(table.size, RANGE,
                    [&](int64_t begin, int64_t end) { std::fill(buffer + begin, buffer + end, 0.0f); });
    for (size_t index = 0; index < table.parameters.size(); index++) {
        const Parameter& parameter = table.parameters[index];
        float* out = buffer + parameter.offset;
        if (parameter.initial_values == InitialValues::zeros) continue;
        parallel_ranges(parameter.count, RANGE, [&](int64_t begin, int64_t end) {
            if (parameter.initial_values == InitialValues::ones) {
                std::fill(out + begin, out + end, 1.0f);
            } else {
                random_values(out, parameter, philox_key(seed, index), begin, end);
            }
        });
    }
}

}  // namespace dllm
