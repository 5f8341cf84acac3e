// Checks of the arguments of layer norm and RMS norm, which both backends share. A layer norm has what an RMS norm has,
// and a mean, and perhaps a bias.
#pragma once

#include "op_check.h"

namespace dllm {

inline void check_rms_norm_forward(const OpCheck& op, const Tensor& out, const Tensor& rstd, const Tensor& x,
                                   const Tensor& weight, DType compute = DType::f32) {
    const int64_t N = x.rows, C = x.cols;
    op.shape("out", out, N, C, compute);
    op.shape("rstd", rstd, 1, N);
    op.shape("x", x, N, C, compute);
    op.shape("weight", weight, 1, C, compute);
}

inline void check_layer_norm_forward(const OpCheck& op, const Tensor& out, const Tensor& mean, const Tensor& rstd,
                                     const Tensor& x, const Tensor& weight, const Tensor& bias,
                                     DType compute = DType::f32) {
    check_rms_norm_forward(op, out, rstd, x, weight, compute);
    op.shape("mean", mean, 1, x.rows);
    op.optional_shape("bias", bias, 1, x.cols, compute);
}

inline void check_rms_norm_backward(const OpCheck& op, const Tensor& dx, const Tensor& dweight, const Tensor& dout,
                                    const Tensor& x, const Tensor& weight, const Tensor& rstd,
                                    DType compute = DType::f32) {
    const int64_t N = x.rows, C = x.cols;
    op.shape("dx", dx, N, C, compute);
    op.shape("dweight", dweight, 1, C);
    op.shape("dout", dout, N, C, compute);
    op.shape("x", x, N, C, compute);
    op.shape("weight", weight, 1, C, compute);
    op.shape("rstd", rstd, 1, N);
}

inline void check_layer_norm_backward(const OpCheck& op, const Tensor& dx, const Tensor& dweight, const Tensor& dbias,
                                      const Tensor& dout, const Tensor& x, const Tensor& weight, const Tensor& mean,
                                      const Tensor& rstd, DType compute = DType::f32) {
    check_rms_norm_backward(op, dx, dweight, dout, x, weight, rstd, compute);
    op.optional_shape("dbias", dbias, 1, x.cols);
    op.shape("mean", mean, 1, x.rows);
}

}  // namespace dllm
