// What reader and writer of safetensors files share: the dtypes and the size of a tensor.
#include "safetensors.h"

#include <algorithm>
#include <array>
#include <limits>

#include "json.h"

namespace dllm {
namespace {

struct Dtype {
    std::string_view name;
    int bits;
};

constexpr std::array<Dtype, 22> DTYPES = {{
    {"F64", 64},    {"F32", 32},        {"F16", 16},        {"BF16", 16},   {"F8_E4M3", 8}, {"F8_E5M2", 8},
    {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
    {"I64", 64},    {"I32", 32},        {"I16", 16},        {"I8", 8},      {"U64", 64},    {"U32", 32},
    {"U16", 16},    {"U8", 8},          {"BOOL", 8},        {"C64", 64},
}};

std::string known_dtypes() {
    std::string names;
    for (const Dtype& dtype : DTYPES) names += (names.empty() ? "" : ", ") + std::string(dtype.name);
    return names;
}

}  // namespace

int safetensors_dtype_bits(std::string_view dtype) {
    const auto known = std::find_if(DTYPES.begin(), DTYPES.end(), [&](const Dtype& d) { return d.name == dtype; });
    return known == DTYPES.end() ? 0 : known->bits;
}

uint64_t safetensors_tensor_bytes(std::string_view dtype, std::span<const int64_t> shape, const std::string& where) {
    const auto reject = [&](const std::string& rule) { fail(ErrorCode::checkpoint, where + ": " + rule); };
    const int bits = safetensors_dtype_bits(dtype);
    if (bits == 0) reject("unknown dtype " + json_quote(dtype, 100) + ", expected one of " + known_dtypes());
    if (shape.size() > SAFETENSORS_MAX_RANK) {
        reject("shape has more than " + std::to_string(SAFETENSORS_MAX_RANK) + " dimensions");
    }
    uint64_t total = 1;
    const auto multiply = [&](uint64_t factor) {
        if (factor > 0 && total > std::numeric_limits<uint64_t>::max() / factor) {
            reject("the size of shape and dtype overflows 64 bits");
        }
        total *= factor;
    };
    for (const int64_t size : shape) {
        if (size < 0) reject("shape has the negative dimension " + std::to_string(size));
        multiply(uint64_t(size));
    }
    multiply(uint64_t(bits));
    if (total % 8 != 0) reject("the " + std::string(dtype) + " elements do not fill whole bytes");
    return total / 8;
}

}  // namespace dllm
