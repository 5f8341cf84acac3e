// How a wgmma finds a matrix in shared memory: the 64-bit matrix descriptor of the PTX ISA (9.7.15.5.1.2.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace dllm::emulated {

struct MatrixDescriptor {
    size_t start, leading, stride;  // bytes
    unsigned base_offset, swizzle;

    explicit MatrixDescriptor(uint64_t bits);

    // What this emulation does not decode, or is empty.
    std::string problem() const;

    // Offset from the beginning of the block's shared memory of an element of 2 bytes: `major` counts along the
    // dimension whose elements lie next to each other, `other` along the one across. K-major: major is k.
    size_t offset(bool k_major, int major, int other) const;
};

}  // namespace dllm::emulated
