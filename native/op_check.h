// Checks of an op's arguments on any backend: a wrong shape is a programming error, reported with the op's name.
#pragma once

#include "error.h"
#include "tensor.h"

#include <string>

namespace dllm {

class OpCheck {
public:
    explicit OpCheck(const char* op) : op_(op) {}

    void shape(const char* what, const Tensor& x, int64_t rows, int64_t cols, DType dtype = DType::f32) const {
        if (!x && rows * cols > 0) broken(std::string(what) + " is missing");
        if (x.rows != rows || x.cols != cols || x.dtype != dtype || x.stride < cols) {
            broken(std::string(what) + " must be " + describe(rows, cols, dtype) + ", got " +
                   describe(x.rows, x.cols, x.dtype) + " with stride " + std::to_string(x.stride));
        }
    }

    void optional_shape(const char* what, const Tensor& x, int64_t rows, int64_t cols, DType dtype = DType::f32) const {
        if (x) shape(what, x, rows, cols, dtype);
    }

    void contiguous(const char* what, const Tensor& x) const {
        if (!x.contiguous()) broken(std::string(what) + " must be contiguous");
    }

    // Every id in [0, limit), for they index memory. x is in host memory.
    void indices(const char* what, const Tensor& x, int64_t limit) const {
        for (int64_t i = 0; i < x.cols; i++) {
            const int32_t id = x.i32()[i];
            if (id < 0 || id >= limit) {
                broken(std::string(what) + "[" + std::to_string(i) + "] must be from 0 to " +
                       std::to_string(limit - 1) + ", got " + std::to_string(id));
            }
        }
    }

    void that(bool holds, const char* rule) const {
        if (!holds) broken(rule);
    }

    [[noreturn]] void broken(const std::string& rule) const { fail(ErrorCode::native, std::string(op_) + ": " + rule); }

private:
    static std::string describe(int64_t rows, int64_t cols, DType dtype) {
        const char* names[] = {"f32", "bf16", "i32"};
        return std::string(names[int(dtype)]) + " (" + std::to_string(rows) + ", " + std::to_string(cols) + ")";
    }

    const char* op_;
};

}  // namespace dllm
