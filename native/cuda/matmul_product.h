// One matrix product as an op asks for it, and the key that its plan is kept under.
#pragma once

#include "../tensor.h"

#include <compare>
#include <cstdint>

namespace dllm::cuda {

// A row-major matrix as an operand; transposed means that its transpose is multiplied.
struct MatmulOperand {
    Tensor matrix;
    bool transposed;
};

// What the kernel of a product does beside it.
enum class Epilogue : uint8_t {
    none,
    gelu,           // pre = the result, out = gelu(pre), in its tanh form
    gelu_gradient,  // out = the result times gelu'(pre)
    sums_of_a,      // sums (1, M) = the sums of a's rows
    sums_of_b,      // sums (1, N) = the sums of b's columns
};

// result = a b + addend + bias: row-major (M, N) = (M, K) (K, N) + (M, N) + (1, N). addend and bias may be null, addend
// may be out. pre (M, N) and sums belong to their epilogues; sums has the type of out and is written.
struct MatmulProduct {
    Tensor out;
    MatmulOperand a, b;
    Tensor addend = {}, bias = {};
    Epilogue epilogue = Epilogue::none;
    Tensor pre = {}, sums = {};
};

// All that the choice of an algorithm depends on, as cuBLASLt sees it, which knows column-major matrices only:
// out^T (m, n) = b^T (m, k) a^T (k, n), so that b is on the left.
struct MatmulKey {
    int64_t m, n, k, ld_left, ld_right, ld_addend, ld_out, ld_pre;
    bool left_transposed, right_transposed, adds, has_bias;
    DType input, output, bias;
    Epilogue epilogue;
    // Bytes; vector is the bias or the sums.
    uint32_t left_alignment, right_alignment, addend_alignment, out_alignment, vector_alignment, pre_alignment;

    auto operator<=>(const MatmulKey&) const = default;
};

// Alignments are told apart up to this: all tensors of arenas begin at such addresses, parameters in bfloat16 included,
// and layers of one shape then share a plan.
constexpr uint32_t MAX_ALIGNMENT = 32;

MatmulKey key_of(const MatmulProduct& product);

}  // namespace dllm::cuda
