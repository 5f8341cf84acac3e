// Elements of the two float types, and groups of them that one thread reads or writes at once. Arithmetic is float32.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace dllm::cuda {

using bfloat16 = __nv_bfloat16;

// Elements in 16 bytes.
template <class T>
constexpr int PACK = 16 / int(sizeof(T));

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(bfloat16 x) { return __bfloat162float(x); }

template <class T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
    return x;
}
template <>
__device__ inline bfloat16 from_float<bfloat16>(float x) {
    return __float2bfloat16_rn(x);
}

// WIDTH is 1, or PACK<T> where the address is a multiple of 16 bytes.
template <int WIDTH, class T>
__device__ inline void load(float (&values)[WIDTH], const T* from) {
    if constexpr (WIDTH == 1) {
        values[0] = to_float(*from);
    } else {
        static_assert(WIDTH == PACK<T>);
        union {
            uint4 bits;
            T elements[WIDTH];
        } pack{*reinterpret_cast<const uint4*>(from)};
        for (int i = 0; i < WIDTH; i++) values[i] = to_float(pack.elements[i]);
    }
}

template <int WIDTH, class T>
__device__ inline void store(T* to, const float (&values)[WIDTH]) {
    if constexpr (WIDTH == 1) {
        *to = from_float<T>(values[0]);
    } else {
        static_assert(WIDTH == PACK<T>);
        union {
            uint4 bits;
            T elements[WIDTH];
        } pack{};
        for (int i = 0; i < WIDTH; i++) pack.elements[i] = from_float<T>(values[i]);
        *reinterpret_cast<uint4*>(to) = pack.bits;
    }
}

}  // namespace dllm::cuda
