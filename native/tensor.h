// A view of a row-major matrix in a backend's memory. It owns nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dllm {

enum class DType : uint8_t { f32, bf16, i32 };

constexpr int64_t dtype_bytes(DType dtype) { return dtype == DType::bf16 ? 2 : 4; }

struct Tensor {
    void* data = nullptr;
    int64_t rows = 0;
    int64_t cols = 0;
    int64_t stride = 0;  // elements from one row to the next; at least cols
    DType dtype = DType::f32;

    explicit operator bool() const { return data != nullptr; }
    int64_t count() const { return rows * cols; }
    bool contiguous() const { return stride == cols || rows <= 1; }
    float* f32() const { return static_cast<float*>(data); }
    uint16_t* bf16() const { return static_cast<uint16_t*>(data); }
    int32_t* i32() const { return static_cast<int32_t*>(data); }

    Tensor slice_rows(int64_t begin, int64_t count) const { return {at(begin * stride), count, cols, stride, dtype}; }
    Tensor slice_cols(int64_t begin, int64_t count) const { return {at(begin), rows, count, stride, dtype}; }
    // The same contiguous elements as another shape.
    Tensor reshape(int64_t new_rows, int64_t new_cols) const { return {data, new_rows, new_cols, new_cols, dtype}; }

private:
    void* at(int64_t element) const { return static_cast<std::byte*>(data) + element * dtype_bytes(dtype); }
};

}  // namespace dllm
