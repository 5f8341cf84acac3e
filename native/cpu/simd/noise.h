// The counter-based random bits of rng.h, a vector of Philox blocks at a time.
#pragma once

#include "../kernels.h"
#include "vector.h"

namespace dllm::simd {

constexpr int64_t NOISE_BLOCK = 256;

// The random_bits of rng.h for at least `count` elements from `first` on, a multiple of 4.
template <class Isa>
[[gnu::always_inline]] inline void noise_bits(uint32_t (&bits)[NOISE_BLOCK], int64_t first, int64_t count,
                                              const NoiseKey& noise) {
    using Wide = typename Isa::Wide;  // the low half of a lane is a 32-bit word; the high half is ignored
    constexpr int LANES = Isa::WIDTH / 2;
    const auto wide = [](uint64_t x) { return x - Wide{}; };
    Wide lane{};
    for (int i = 0; i < LANES; i++) lane[i] = uint64_t(i);
    for (int64_t offset = 0; offset < count; offset += 4 * LANES) {
        Wide words[4] = {wide(uint64_t(first + offset) / 4) + lane, wide(noise.position), wide(noise.step),
                         wide(noise.stream)};
        uint32_t key0 = noise.key0, key1 = noise.key1;
        for (int round = 0; round < 10; round++) {
            const Wide product0 = Isa::multiply_low_halves(words[0], wide(0xD2511F53));
            const Wide product1 = Isa::multiply_low_halves(words[2], wide(0xCD9E8D57));
            words[0] = (product1 >> 32) ^ words[1] ^ wide(key0);
            words[1] = product1;
            words[2] = (product0 >> 32) ^ words[3] ^ wide(key1);
            words[3] = product0;
            key0 += 0x9E3779B9;
            key1 += 0xBB67AE85;
        }
        // Two words to a lane, then lane after lane: the order of a little-endian PhiloxBlock.
        const Wide pairs[2] = {(words[0] & wide(0xFFFFFFFF)) | words[1] << 32,
                               (words[2] & wide(0xFFFFFFFF)) | words[3] << 32};
        uint64_t lanes[2][LANES];
        __builtin_memcpy(lanes, pairs, sizeof lanes);
        for (int i = 0; i < LANES; i++) {
            __builtin_memcpy(&bits[offset + 4 * i], &lanes[0][i], sizeof(uint64_t));
            __builtin_memcpy(&bits[offset + 4 * i + 2], &lanes[1][i], sizeof(uint64_t));
        }
    }
}

}  // namespace dllm::simd
