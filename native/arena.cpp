// Arena: see arena.h.
#include "arena.h"

#include "error.h"

#include <algorithm>
#include <utility>

namespace dllm {

Arena::Arena(Backend& backend, size_t bytes)
    : backend_(&backend), data_(bytes > 0 ? static_cast<std::byte*>(backend.allocate(bytes)) : nullptr),
      capacity_(bytes) {}

Arena::~Arena() {
    if (data_ != nullptr) backend_->release(data_);
}

Arena::Arena(Arena&& other) noexcept
    : backend_(other.backend_), data_(std::exchange(other.data_, nullptr)),
      capacity_(std::exchange(other.capacity_, 0)), used_(std::exchange(other.used_, 0)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    std::swap(used_, other.used_);
    return *this;
}

Tensor Arena::take(int64_t rows, int64_t cols, DType dtype, int64_t row_alignment) {
    constexpr size_t ALIGNMENT = 64;
    const int64_t row_elements = std::max<int64_t>(row_alignment / dtype_bytes(dtype), 1);
    const int64_t stride = (cols + row_elements - 1) / row_elements * row_elements;
    const size_t begin = (used_ + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    used_ = begin + size_t(rows) * size_t(stride) * size_t(dtype_bytes(dtype));
    if (data_ != nullptr && used_ > capacity_) fail(ErrorCode::native, "an arena was cut beyond what it measured");
    return {data_ != nullptr ? data_ + begin : nullptr, rows, cols, stride, dtype};
}

}  // namespace dllm
