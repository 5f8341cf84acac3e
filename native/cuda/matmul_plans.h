// cuBLASLt products with everything that cuBLASLt looks up kept: descriptors and algorithm, by shape, layout and type.
#pragma once

#include "../tensor.h"
#include "context.h"

#include <compare>
#include <map>
#include <memory>

namespace dllm::cuda {

// A row-major matrix as an operand; transposed means that its transpose is multiplied.
struct MatmulOperand {
    Tensor matrix;
    bool transposed;
};

class MatmulPlans {
public:
    explicit MatmulPlans(Context& context);
    ~MatmulPlans();
    MatmulPlans(const MatmulPlans&) = delete;
    MatmulPlans& operator=(const MatmulPlans&) = delete;

    // out = a b + addend + bias: row-major (M, N) = (M, K) (K, N) + (M, N) + (1, N). addend and bias may be null,
    // addend may be out. Sums are float32. The same shape takes the same algorithm, one without split-K, so that equal
    // inputs give equal bits. Throws ERR_DEVICE.
    void run(Tensor out, MatmulOperand a, MatmulOperand b, Tensor addend, Tensor bias);

private:
    // Seen by cuBLASLt, which knows column-major matrices only: out^T (m, n) = b^T (m, k) a^T (k, n).
    struct Key {
        int64_t m, n, k, ld_left, ld_right, ld_addend, ld_out;
        bool left_transposed, right_transposed, adds, has_bias;
        DType input, output, bias;
        uint32_t left_alignment, right_alignment, addend_alignment, out_alignment;

        auto operator<=>(const Key&) const = default;
    };
    struct Plan;

    const Plan& plan(const Key& key);

    Context& context_;
    std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace dllm::cuda
