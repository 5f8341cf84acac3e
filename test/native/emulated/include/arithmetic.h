// Approximate functions of the hardware, and pairs of bf16 in a register.
#pragma once

#include <cuda_bf16.h>

#include <cmath>
#include <limits>

namespace dllm::cuda {

inline float flush_to_zero(float x) {
    return std::abs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
}

inline float fast_exp2(float x) { return flush_to_zero(std::exp2(flush_to_zero(x))); }

inline float fast_reciprocal(float x) { return flush_to_zero(1.0f / flush_to_zero(x)); }

inline unsigned pack_bf16(float low, float high) {
    return unsigned(__float2bfloat16_rn(low).bits) | unsigned(__float2bfloat16_rn(high).bits) << 16;
}

inline float2 unpack_bf16(unsigned pair) { return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xFFFF0000u)}; }

}  // namespace dllm::cuda
