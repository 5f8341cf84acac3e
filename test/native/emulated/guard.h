// Guards: bytes of a known pattern around memory, which show that something wrote past its ends. The pattern is NaN as
// float and as bf16, so that a read of it shows too.
#pragma once

#include <cstddef>

namespace dllm::emulated {

void fill_guard(std::byte* begin, size_t bytes);
// The offset of the first byte that is not the pattern's, or -1.
ptrdiff_t damaged_byte(const std::byte* begin, size_t bytes);

}  // namespace dllm::emulated
