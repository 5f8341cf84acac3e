// Products with an activation: by cuBLASLt's epilogues where they compute what our kernels do and are worth it.
#include "backend.h"
#include "dispatch.h"

namespace dllm::cuda {
namespace {

// cuBLASLt's GELU has the tanh form, too. In float32, which is for comparing with other implementations, our own is
// known to be exact enough. The epilogues want the values before the activation in packs.
bool has_epilogue(Activation kind, const Tensor& pre) {
    return kind == Activation::gelu && pre.dtype == DType::bf16 && pre.count() > 0 && in_packs({pre});
}

}  // namespace

void CudaBackend::matmul_activation_forward(Tensor out, Tensor pre, Tensor x, Tensor weight, Tensor bias,
                                            Activation kind, WeightLayout layout) {
    const bool in_out = layout == WeightLayout::in_out;
    const MatmulProduct product{out, {x, false}, {weight, !in_out}, {}, bias, Epilogue::gelu, pre};
    const auto compute = [&](bool fused) {
        if (fused) return plans_.run(product);
        Backend::matmul_activation_forward(out, pre, x, weight, bias, kind, layout);
    };
    if (!has_epilogue(kind, pre)) return compute(false);
    const OpCheck op("matmul_activation_forward");
    const int64_t N = pre.rows, F = pre.cols, I = x.cols;
    op.shape("out", out, N, F, compute_);
    op.shape("pre", pre, N, F, compute_);
    op.shape("x", x, N, I, compute_);
    op.shape("weight", weight, in_out ? I : F, in_out ? F : I, compute_);
    op.optional_shape("bias", bias, 1, F, compute_);
    compute(plans_.fuses(product, compute));
}

void CudaBackend::matmul_activation_backward(Tensor dpre, Tensor dhidden, Tensor dout, Tensor weight, Tensor pre,
                                             Activation kind, WeightLayout layout) {
    const bool in_out = layout == WeightLayout::in_out;
    const MatmulProduct product{dpre, {dout, false}, {weight, in_out}, {}, {}, Epilogue::gelu_gradient, pre};
    const auto compute = [&](bool fused) {
        if (fused) return plans_.run(product);
        Backend::matmul_activation_backward(dpre, dhidden, dout, weight, pre, kind, layout);
    };
    if (!has_epilogue(kind, pre)) return compute(false);
    const OpCheck op("matmul_activation_backward");
    const int64_t N = pre.rows, F = pre.cols, O = dout.cols;
    op.shape("dpre", dpre, N, F, compute_);
    op.shape("dhidden", dhidden, N, F, compute_);
    op.shape("pre", pre, N, F, compute_);
    op.shape("dout", dout, N, O, compute_);
    op.shape("weight", weight, in_out ? F : O, in_out ? O : F, compute_);
    compute(plans_.fuses(product, compute));
}

}  // namespace dllm::cuda
