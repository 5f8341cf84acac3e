// Matrix products (cuBLASLt), and the bias gradient that goes with them.
#include "../op_check.h"
#include "backend.h"
#include "column_sums.h"
#include "stopwatch.h"

#include <optional>

namespace dllm::cuda {
namespace {

void check_shapes(const OpCheck& op, const Tensor& out, const Tensor& x, const Tensor& weight, WeightLayout layout,
                  DType compute, DType weight_type) {
    const int64_t N = x.rows, I = x.cols, O = out.cols;
    op.shape("out", out, N, O, compute);
    op.shape("x", x, N, I, compute);
    if (layout == WeightLayout::in_out) {
        op.shape("weight", weight, I, O, weight_type);
    } else {
        op.shape("weight", weight, O, I, weight_type);
    }
}

}  // namespace

void CudaBackend::matmul_forward(Tensor out, Tensor x, Tensor weight, Tensor bias, Tensor residual,
                                 WeightLayout layout) {
    const OpCheck op("matmul_forward");
    check_shapes(op, out, x, weight, layout, compute_, compute_);
    op.optional_shape("bias", bias, 1, out.cols, compute_);
    op.optional_shape("residual", residual, out.rows, out.cols, compute_);
    if (out.count() == 0) return;
    plans_.run({out, {x, false}, {weight, layout == WeightLayout::out_in}, residual, bias});
}

void CudaBackend::matmul_backward_input(Tensor dx, Tensor dout, Tensor weight, WeightLayout layout) {
    check_shapes(OpCheck("matmul_backward_input"), dout, dx, weight, layout, compute_, compute_);
    if (dx.count() == 0) return;
    plans_.run({dx, {dout, false}, {weight, layout == WeightLayout::in_out}});
}

void CudaBackend::matmul_backward_weight(Tensor dweight, Tensor dbias, Tensor x, Tensor dout, WeightLayout layout) {
    const OpCheck op("matmul_backward_weight");
    check_shapes(op, dout, x, dweight, layout, compute_, DType::f32);
    op.optional_shape("dbias", dbias, 1, dout.cols);
    if (dout.count() == 0) return;
    const bool in_out = layout == WeightLayout::in_out;
    const auto product = [&](Tensor to) -> MatmulProduct {
        if (in_out) return {to, {x, true}, {dout, false}, dweight};
        return {to, {dout, true}, {x, false}, dweight};
    };
    if (!dbias) return plans_.run(product(dweight));

    const auto with_sums = [&](Tensor to) {
        MatmulProduct fused = product(to);
        fused.epilogue = in_out ? Epilogue::sums_of_b : Epilogue::sums_of_a;
        fused.sums = {scratch_.get(size_t(dout.cols) * sizeof(float)), 1, dout.cols, dout.cols, DType::f32};
        return fused;
    };
    const auto accumulate = [&](Tensor to_weight, Tensor to_bias, bool fused) {
        if (fused) {
            const MatmulProduct both = with_sums(to_weight);
            plans_.run(both);
            add_partial_sums(to_bias.f32(), nullptr, both.sums.f32(), 1, dout.cols, dout.cols, context_.stream());
        } else {
            plans_.run(product(to_weight));
            add_column_sums(to_bias, dout, scratch_, context_.stream());
        }
    };
    std::optional<Elsewhere> weight_elsewhere, bias_elsewhere;
    const bool fused = plans_.fuses(with_sums(dweight), [&](bool fuse) {
        if (!weight_elsewhere) weight_elsewhere.emplace(context_, dweight);
        if (!bias_elsewhere) bias_elsewhere.emplace(context_, dbias);
        accumulate(weight_elsewhere->tensor(), bias_elsewhere->tensor(), fuse);
    });
    accumulate(dweight, dbias, fused);
}

}  // namespace dllm::cuda
