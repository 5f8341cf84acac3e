// The matrix of the reference loops: row-major, no stride. One without rows stands for an absent tensor.
#pragma once

#include <cstdint>
#include <vector>

namespace dllm::reference {

template <typename Real>
struct Matrix {
    int64_t rows = 0;
    int64_t cols = 0;
    std::vector<Real> data;

    Matrix() = default;
    Matrix(int64_t row_count, int64_t col_count, Real value = Real(0))
        : rows(row_count), cols(col_count), data(row_count * col_count, value) {}

    explicit operator bool() const { return rows > 0; }
    Real& operator()(int64_t row, int64_t col) { return data[row * cols + col]; }
    const Real& operator()(int64_t row, int64_t col) const { return data[row * cols + col]; }
};

}  // namespace dllm::reference
