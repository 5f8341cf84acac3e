// Philox 4x32-10, a counter-based random generator (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3",
// 2011). One draw is a pure function of (key, counter), so no state is stored, saved or shared between threads.
#pragma once

#include <bit>
#include <cstdint>

#if defined(__CUDACC__)
#define DLLM_HOST_DEVICE __host__ __device__
#else
#define DLLM_HOST_DEVICE
#endif

namespace dllm {

struct PhiloxKey {
    uint32_t words[2];
};

struct PhiloxBlock {
    uint32_t words[4];
};

DLLM_HOST_DEVICE inline PhiloxBlock philox(PhiloxKey key, PhiloxBlock counter) {
    constexpr uint64_t MULTIPLIER_0 = 0xD2511F53, MULTIPLIER_1 = 0xCD9E8D57;
    constexpr uint32_t WEYL_0 = 0x9E3779B9, WEYL_1 = 0xBB67AE85;
    constexpr int ROUNDS = 10;
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t product_0 = MULTIPLIER_0 * counter.words[0];
        const uint64_t product_1 = MULTIPLIER_1 * counter.words[2];
        counter = {{uint32_t(product_1 >> 32) ^ counter.words[1] ^ key.words[0], uint32_t(product_1),
                    uint32_t(product_0 >> 32) ^ counter.words[3] ^ key.words[1], uint32_t(product_0)}};
        key.words[0] += WEYL_0;
        key.words[1] += WEYL_1;
    }
    return counter;
}

// What a draw is for: draws of different purpose never share a counter.
enum class Stream : uint32_t { init, window, time, mask, random_length, token_noise, remask, annealed, dropout };

// splitmix64's finaliser over both numbers: neighbouring seeds and samples give unrelated keys.
DLLM_HOST_DEVICE inline PhiloxKey philox_key(uint64_t seed, uint64_t sample) {
    uint64_t h = seed + 0x9E3779B97F4A7C15ull * (sample + 1);
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9ull;
    h = (h ^ (h >> 27)) * 0x94D049BB133111EBull;
    h ^= h >> 31;
    return {{uint32_t(h), uint32_t(h >> 32)}};
}

// The draw of one element. Counter = (element / 4, position, step, stream).
DLLM_HOST_DEVICE inline uint32_t random_bits(PhiloxKey key, Stream stream, uint32_t step, uint32_t position,
                                             uint32_t element) {
    return philox(key, {{element / 4, position, step, uint32_t(stream)}}).words[element % 4];
}

// The score of a position where positions are taken in random order: a whole number of 2^-16 from 0 to below 256.
DLLM_HOST_DEVICE inline float random_score(PhiloxKey key, uint32_t step, uint32_t position) {
    return float(random_bits(key, Stream::remask, step, position, 0) >> 8) * 0x1p-16f;
}

// Dropout drops an element whose draw is below this.
DLLM_HOST_DEVICE inline uint32_t dropout_threshold(float probability) {
    return uint32_t(double(probability) * 0x1p32);  // probability is below 1
}

// [0, 1) in steps of 2^-32, exact in double.
DLLM_HOST_DEVICE inline double uniform(uint32_t bits) { return bits * 0x1p-32; }

// (0, 1) for use under a logarithm: (k + 1/2) 2^-32, kept below 1 in float32.
DLLM_HOST_DEVICE inline float open_uniform(uint32_t bits) {
    const float v = (float(bits) + 0.5f) * 0x1p-32f;
    return v < 1.0f ? v : 0x1.fffffep-1f;
}

// Natural logarithm of a positive normal float: the same operations, hence the same bits, on host and device
// (relative error below 2e-7). Compiled without contraction on both sides.
DLLM_HOST_DEVICE inline float portable_log(float x) {
    uint32_t bits = std::bit_cast<uint32_t>(x);
    // x = m 2^e with m in [sqrt(1/2), sqrt(2))
    const int32_t e = int32_t(bits - 0x3f3504f3u) >> 23;
    const float m = std::bit_cast<float>(bits - (uint32_t(e) << 23));
    const float s = (m - 1.0f) / (m + 1.0f);
    const float z = s * s;
    // log(m) = 2 artanh(s)
    const float series =
        2.0f * s + 2.0f * s * z * (1.0f / 3 + z * (1.0f / 5 + z * (1.0f / 7 + z * (1.0f / 9 + z / 11))));
    return float(e) * 0.693359375f + (series + float(e) * -2.12194440e-4f);
}

// Gumbel noise -log(-log1p(-v)) with its whole upper tail: tiny v keep their relative precision.
DLLM_HOST_DEVICE inline float gumbel(uint32_t bits) {
    const float v = open_uniform(bits);
    const float u = 1.0f - v;
    // Kahan's log1p: the rounding error of u cancels in v / (1 - u).
    const float exponential = u == 1.0f ? v : -portable_log(u) * (v / (1.0f - u));
    return -portable_log(exponential);
}

}  // namespace dllm
