// Matrix products of a whole warp, and loading their operands from shared memory; the layout of the fragments is
// described in native/cuda/hardware/tensor_core.h.
#pragma once

#include <source_location>

#include "../tensor_core.h"
#include "../threads.h"

namespace dllm::cuda {

inline void mma_bf16_16x8x16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                             std::source_location where = std::source_location::current()) {
    emulated::multiply_fragments(d, a, b, where);
}

inline unsigned shared_address(const void* shared) { return emulated::shared_address_of(shared); }

inline void ldmatrix_x4(unsigned (&r)[4], const void* shared_row,
                        std::source_location where = std::source_location::current()) {
    emulated::load_matrices({"ldmatrix_x4", where}, r, shared_row, false);
}

inline void ldmatrix_x4_trans(unsigned (&r)[4], const void* shared_row,
                              std::source_location where = std::source_location::current()) {
    emulated::load_matrices({"ldmatrix_x4_trans", where}, r, shared_row, true);
}

}  // namespace dllm::cuda
