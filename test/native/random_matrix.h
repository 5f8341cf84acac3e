// Seeded random inputs of the native tests.
#pragma once

#include "reference/matrix.h"
#include "rng.h"

#include <numbers>
#include <numeric>
#include <vector>

namespace dllm::test {

class Random {
public:
    explicit Random(uint64_t seed) : key_(philox_key(seed, 0)) {}

    uint32_t bits() { return random_bits(key_, Stream::init, 0, 0, count_++); }
    double real(double low, double high) { return low + (high - low) * uniform(bits()); }
    int32_t integer(int32_t bound) { return int32_t(uniform(bits()) * bound); }

    // Mean 0, variance 1: the sum of four uniforms, cheaper than a true normal and bell-shaped enough.
    double normal() {
        const PhiloxBlock block = philox(key_, {{count_++, 0, 0, uint32_t(Stream::mask)}});
        const double sum = uniform(block.words[0]) + uniform(block.words[1]) + uniform(block.words[2]) +
                           uniform(block.words[3]);
        return (sum - 2) * std::numbers::sqrt3;
    }

    template <typename Real>
    reference::Matrix<Real> normal(int64_t rows, int64_t cols, double scale = 1, double mean = 0) {
        reference::Matrix<Real> matrix(rows, cols);
        for (Real& value : matrix.data) value = Real(mean + scale * normal());
        return matrix;
    }

    std::vector<int32_t> integers(int64_t count, int32_t bound) {
        std::vector<int32_t> values(count);
        for (int32_t& value : values) value = integer(bound);
        return values;
    }

    // The first `count` of a random order of 0 ... bound - 1.
    std::vector<int32_t> distinct(int64_t count, int32_t bound) {
        std::vector<int32_t> values(bound);
        std::iota(values.begin(), values.end(), 0);
        for (int32_t i = 0; i < count; i++) std::swap(values[i], values[i + integer(bound - i)]);
        values.resize(count);
        return values;
    }

private:
    PhiloxKey key_;
    uint32_t count_ = 0;
};

}  // namespace dllm::test
