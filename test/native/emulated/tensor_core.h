// The matrix instructions of a warp.
#pragma once

#include <source_location>

namespace dllm::emulated {

struct Instruction {
    const char* name;
    std::source_location where;
};

// d (16 x 8) += a (16 x 16) b (16 x 8), each lane with its fragments
void multiply_fragments(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                        const std::source_location& where);

// r of the lane from four 8 x 8 matrices, whose rows the lanes name
void load_matrices(const Instruction& instruction, unsigned (&r)[4], const void* shared_row, bool transposed);

}  // namespace dllm::emulated
