// Elements of the two float types, and groups of them that one thread reads or writes at once. Arithmetic is float32.
#pragma once

#include <hardware.h>

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

// WIDTH elements as they lie in memory: WIDTH is 1, or PACK<T> where the address is a multiple of 16 bytes.
template <class T, int WIDTH>
struct Raw {
    static_assert(WIDTH == PACK<T>);
    uint4 bits;
};
template <class T>
struct Raw<T, 1> {
    T bits;
};

template <int WIDTH, class T>
__device__ inline Raw<T, WIDTH> load_raw(const T* from) {
    return {*reinterpret_cast<const decltype(Raw<T, WIDTH>::bits)*>(from)};
}

template <int WIDTH, class T>
__device__ inline void store_raw(T* to, Raw<T, WIDTH> raw) {
    *reinterpret_cast<decltype(raw.bits)*>(to) = raw.bits;
}

__device__ inline void widen(float (&values)[1], Raw<float, 1> raw) { values[0] = raw.bits; }
__device__ inline void widen(float (&values)[1], Raw<bfloat16, 1> raw) { values[0] = to_float(raw.bits); }
__device__ inline void widen(float (&values)[4], Raw<float, 4> raw) {
    const unsigned words[] = {raw.bits.x, raw.bits.y, raw.bits.z, raw.bits.w};
    for (int i = 0; i < 4; i++) values[i] = __uint_as_float(words[i]);
}
__device__ inline void widen(float (&values)[8], Raw<bfloat16, 8> raw) {
    const unsigned words[] = {raw.bits.x, raw.bits.y, raw.bits.z, raw.bits.w};
    for (int i = 0; i < 4; i++) {
        const float2 pair = unpack_bf16(words[i]);
        values[2 * i] = pair.x;
        values[2 * i + 1] = pair.y;
    }
}

template <class T>
__device__ inline Raw<T, 1> narrow(const float (&values)[1]) {
    return {from_float<T>(values[0])};
}
template <class T>
__device__ inline Raw<float, 4> narrow(const float (&values)[4]) {
    return {make_uint4(__float_as_uint(values[0]), __float_as_uint(values[1]), __float_as_uint(values[2]),
                       __float_as_uint(values[3]))};
}
template <class T>
__device__ inline Raw<bfloat16, 8> narrow(const float (&values)[8]) {
    return {make_uint4(pack_bf16(values[0], values[1]), pack_bf16(values[2], values[3]),
                       pack_bf16(values[4], values[5]), pack_bf16(values[6], values[7]))};
}

// WIDTH is 1, or a multiple of PACK<T> where the address is a multiple of 16 bytes.
template <int WIDTH, class T>
__device__ inline void load(float (&values)[WIDTH], const T* from) {
    constexpr int PART = WIDTH == 1 ? 1 : PACK<T>;
    static_assert(WIDTH % PART == 0);
    for (int i = 0; i < WIDTH; i += PART) {
        float part[PART];
        widen(part, load_raw<PART>(from + i));
        for (int j = 0; j < PART; j++) values[i + j] = part[j];
    }
}

template <int WIDTH, class T>
__device__ inline void store(T* to, const float (&values)[WIDTH]) {
    constexpr int PART = WIDTH == 1 ? 1 : PACK<T>;
    static_assert(WIDTH % PART == 0);
    for (int i = 0; i < WIDTH; i += PART) {
        float part[PART];
        for (int j = 0; j < PART; j++) part[j] = values[i + j];
        store_raw(to + i, narrow<T>(part));
    }
}

}  // namespace dllm::cuda
