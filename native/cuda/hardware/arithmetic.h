// Approximate functions of the hardware (about two units in the last place), and pairs of bf16 in a register.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

namespace dllm::cuda {

// 2^x; subnormal inputs and results are zero
__device__ __forceinline__ float fast_exp2(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

// 1 / x; subnormal inputs and results are zero
__device__ __forceinline__ float fast_reciprocal(float x) {
    float result;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

// Two floats rounded to bf16, as a fragment register of tensor_core.h holds them
__device__ __forceinline__ unsigned pack_bf16(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return unsigned(__bfloat16_as_ushort(pair.x)) | unsigned(__bfloat16_as_ushort(pair.y)) << 16;
}

// x: the low half, y: the high half
__device__ __forceinline__ float2 unpack_bf16(unsigned pair) {
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xFFFF0000u));
}

}  // namespace dllm::cuda
