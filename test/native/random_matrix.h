// Seeded random inputs of the native tests.
#pragma once

#include "reference/matrix.h"

#include <numbers>
#include <numeric>
#include <vector>

namespace dllm::test {

// splitmix64: a test draws millions of numbers, so it must be cheap.
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t bits() {
        state_ += 0x9E3779B97F4A7C15;
        uint64_t h = (state_ ^ (state_ >> 30)) * 0xBF58476D1CE4E5B9;
        h = (h ^ (h >> 27)) * 0x94D049BB133111EB;
        return h ^ (h >> 31);
    }

    double real(double low, double high) { return low + (high - low) * (double(bits() >> 32) * 0x1p-32); }
    int32_t integer(int32_t bound) { return int32_t(real(0, bound)); }

    // Mean 0, variance 1: the sum of four uniforms, bell-shaped enough.
    double normal() {
        const uint64_t h = bits();
        const double sum = double((h & 0xffff) + (h >> 16 & 0xffff) + (h >> 32 & 0xffff) + (h >> 48)) * 0x1p-16;
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
    uint64_t state_;
};

}  // namespace dllm::test
