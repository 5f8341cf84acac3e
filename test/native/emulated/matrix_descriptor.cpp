// MatrixDescriptor: see matrix_descriptor.h. With the 128-byte swizzle a pattern is 8 rows of 128 bytes, in which the
// 16-byte column of an address (bits 4 to 6) is exchanged by its row (bits 7 to 9).
#include "matrix_descriptor.h"

#include "shared_memory.h"

namespace dllm::emulated {

namespace {

constexpr unsigned SWIZZLE_128_BYTES = 1;
constexpr size_t ROW_BYTES = 128, ELEMENT_BYTES = 2;

// Of a byte offset or address in units of 16: 14 bits of the descriptor.
size_t decode(uint64_t bits, int first) { return size_t(bits >> first & 0x3FFF) << 4; }

}  // namespace

MatrixDescriptor::MatrixDescriptor(uint64_t bits)
    : start(decode(bits, 0)), leading(decode(bits, 16)), stride(decode(bits, 32)), base_offset(bits >> 49 & 7),
      swizzle(unsigned(bits >> 62)) {}

std::string MatrixDescriptor::problem() const {
    if (swizzle != SWIZZLE_128_BYTES)
        return "a descriptor of swizzle mode " + std::to_string(swizzle) + "; 1, of 128 bytes, is emulated";
    if (base_offset != 0)
        return "a descriptor of base offset " + std::to_string(base_offset) + "; 0, of aligned patterns, is emulated";
    if (start < SHARED_WINDOW_BEGIN) return "a descriptor that starts before the block's shared memory";
    return "";
}

size_t MatrixDescriptor::offset(bool k_major, int major, int other) const {
    // K-major: ((8,m),(T,2k)):((8T,SBO),(1,T)). MN-major: ((T,8,m),(8,k)):((1,T,LBO),(8T,SBO)). T: 16 bytes.
    constexpr size_t ACROSS = ROW_BYTES / ELEMENT_BYTES;
    size_t at = start + size_t(other) % 8 * ROW_BYTES + size_t(other) / 8 * stride;
    at += k_major ? size_t(major) * ELEMENT_BYTES
                  : size_t(major) % ACROSS * ELEMENT_BYTES + size_t(major) / ACROSS * leading;
    return (at ^ (at >> 7 & 7) << 4) - SHARED_WINDOW_BEGIN;
}

}  // namespace dllm::emulated
