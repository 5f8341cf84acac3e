// The guards' pattern is tied to the address, so that every aligned 16-bit element of a guard is 0xFFE5.
#include "guard.h"

#include <algorithm>
#include <cstdint>

namespace dllm::emulated {

namespace {

constexpr uint64_t PATTERN = 0xFFE5FFE5FFE5FFE5u;  // little endian: 0xE5 at even addresses

std::byte expected(const std::byte* at) { return std::byte(reinterpret_cast<uintptr_t>(at) % 2 == 0 ? 0xE5 : 0xFF); }

const std::byte* next_word(const std::byte* at) {
    return reinterpret_cast<const std::byte*>((reinterpret_cast<uintptr_t>(at) + 7) & ~uintptr_t(7));
}

// The loops read bytes that are poisoned for everybody else, so they are not instrumented.
[[gnu::no_sanitize_address]] const std::byte* first_difference(const std::byte* begin, const std::byte* end) {
    while (begin != end && *begin == expected(begin)) begin++;
    return begin;
}

[[gnu::no_sanitize_address]] bool words_intact(const uint64_t* begin, const uint64_t* end) {
    uint64_t difference = 0;
    for (; begin != end; begin++) difference |= *begin ^ PATTERN;
    return difference == 0;
}

}  // namespace

void fill_guard(std::byte* begin, size_t bytes) {
    std::generate(begin, begin + bytes, [at = begin]() mutable { return expected(at++); });
}

ptrdiff_t damaged_byte(const std::byte* begin, size_t bytes) {
    const std::byte* const end = begin + bytes;
    const std::byte* const words = std::min(next_word(begin), end);
    const size_t count = size_t(end - words) / sizeof(uint64_t);
    const auto* first_word = reinterpret_cast<const uint64_t*>(words);
    const std::byte* found = first_difference(begin, words);
    if (found == words) {
        const std::byte* const rest = words + count * sizeof(uint64_t);
        found = first_difference(words_intact(first_word, first_word + count) ? rest : words, end);
    }
    return found == end ? -1 : found - begin;
}

}  // namespace dllm::emulated
