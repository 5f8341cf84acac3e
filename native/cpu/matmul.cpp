// Matrix products: what each op multiplies, and with what on top.
#include "../thread_pool.h"
#include "backend.h"
#include "check.h"
#include "product.h"

namespace dllm {

namespace {

Operand natural(const Tensor& x) { return {x.f32(), x.stride, 1}; }
Operand transposed(const Tensor& x) { return {x.f32(), 1, x.stride}; }

void check_forward(const OpCheck& check, const Tensor& out, const Tensor& x, const Tensor& weight, const Tensor& bias,
                   WeightLayout layout) {
    const int64_t N = x.rows, I = x.cols, O = out.cols;
    check.shape("out", out, N, O);
    check.shape("x", x, N, I);
    if (layout == WeightLayout::in_out) {
        check.shape("weight", weight, I, O);
    } else {
        check.shape("weight", weight, O, I);
    }
    check.optional_shape("bias", bias, 1, O);
}

Product forward_product(const Tensor& out, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        WeightLayout layout) {
    Product product{};
    product.out = out;
    product.a = natural(x);
    product.b = layout == WeightLayout::in_out ? natural(weight) : transposed(weight);
    product.depth = x.cols;
    product.bias = bias;
    return product;
}

}  // namespace

void CpuBackend::matmul_forward(Tensor out, Tensor x, Tensor weight, Tensor bias, Tensor residual,
                                WeightLayout layout) {
    const OpCheck check("matmul_forward");
    check_forward(check, out, x, weight, bias, layout);
    check.optional_shape("residual", residual, out.rows, out.cols);
    Product product = forward_product(out, x, weight, bias, layout);
    product.residual = residual;
    run_product(kernels_, products_, product);
}

void CpuBackend::matmul_activation_forward(Tensor out, Tensor pre, Tensor x, Tensor weight, Tensor bias,
                                           Activation kind, WeightLayout layout) {
    if (kind == Activation::swiglu) {  // its gate and up columns finish at different times
        Backend::matmul_activation_forward(out, pre, x, weight, bias, kind, layout);
        return;
    }
    const OpCheck check("matmul_activation_forward");
    check_forward(check, pre, x, weight, bias, layout);
    check.shape("out", out, pre.rows, pre.cols);
    Product product = forward_product(pre, x, weight, bias, layout);
    product.activation = kernels_.activation_forward[int(kind)];
    product.activated = out;
    run_product(kernels_, products_, product);
}

void CpuBackend::matmul_backward_input(Tensor dx, Tensor dout, Tensor weight, WeightLayout layout) {
    check_forward(OpCheck("matmul_backward_input"), dout, dx, weight, {}, layout);
    Product product{};
    product.out = dx;
    product.a = natural(dout);
    product.b = layout == WeightLayout::in_out ? transposed(weight) : natural(weight);
    product.depth = dout.cols;
    run_product(kernels_, products_, product);
}

void CpuBackend::matmul_backward_weight(Tensor dweight, Tensor dbias, Tensor x, Tensor dout, WeightLayout layout) {
    check_forward(OpCheck("matmul_backward_weight"), dout, x, dweight, dbias, layout);
    const bool in_out = layout == WeightLayout::in_out;
    Product product{};
    product.out = dweight;
    product.a = transposed(in_out ? x : dout);
    product.b = natural(in_out ? dout : x);
    product.depth = x.rows;
    product.accumulate = true;
    if (in_out) product.column_sums = dbias;
    run_product(kernels_, products_, product);
    if (dbias && !in_out) {
        constexpr int64_t COLUMNS_PER_UNIT = 64;
        parallel_ranges(dout.cols, COLUMNS_PER_UNIT, [&](int64_t begin, int64_t end) {
            add_column_sums(kernels_, dbias.f32() + begin, const_rows_of(dout.slice_cols(begin, end - begin)),
                            dout.rows, end - begin);
        });
    }
}

}  // namespace dllm
