// The 16-bit floating-point formats of checkpoints, widened exactly to float32.
#pragma once

#include <bit>
#include <cstdint>

namespace dllm {

inline float widen_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

// IEEE binary16
inline float widen_f16(uint16_t bits) {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, mantissa = bits & 0x3FF;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000 | mantissa << 13);
    if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
    // Subnormal: normal as a float32, so the product is exact even where float32 subnormals are flushed to zero.
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(float(mantissa) * 0x1p-24f));
}

}  // namespace dllm
