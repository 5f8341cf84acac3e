// The 16-bit floating-point formats, widened exactly to float32, and bfloat16 rounded from it.
#pragma once

#include <bit>
#include <cstdint>

namespace dllm {

inline float widen_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

// Rounded to nearest, ties to even; NaN stays NaN.
inline uint16_t narrow_bf16(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    if (value != value) return uint16_t(bits >> 16 | 0x40);
    return uint16_t((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// IEEE binary16
inline float widen_f16(uint16_t bits) {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, mantissa = bits & 0x3FF;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000 | mantissa << 13);
    if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
    // Subnormal: normal as a float32, so the product is exact even where float32 subnormals are flushed to zero.
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(float(mantissa) * 0x1p-24f));
}

}  // namespace dllm
