// One allocation cut into tensors. A layout function runs twice over an Arena: once to measure, once to cut.
#pragma once

#include "backend.h"

#include <cstddef>

namespace dllm {

class Arena {
public:
    // Measures: take() hands out tensors without memory and adds up their sizes.
    Arena() = default;
    // Cuts an allocation of that many bytes.
    Arena(Backend& backend, size_t bytes);
    ~Arena();
    Arena(Arena&& other) noexcept;
    Arena& operator=(Arena&& other) noexcept;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    // A tensor at the next 64-byte boundary, contiguous unless its rows must begin at multiples of so many bytes.
    Tensor take(int64_t rows, int64_t cols, DType dtype = DType::f32, int64_t row_alignment = 1);
    size_t bytes() const { return used_; }

    // Runs layout(arena) to measure, allocates, and runs it again to cut.
    template <typename Layout>
    static Arena lay_out(Backend& backend, Layout layout) {
        Arena measure;
        layout(measure);
        Arena arena(backend, measure.bytes());
        layout(arena);
        return arena;
    }

private:
    Backend* backend_ = nullptr;
    std::byte* data_ = nullptr;
    size_t capacity_ = 0;
    size_t used_ = 0;
};

}  // namespace dllm
