// Activations.
#include "../thread_pool.h"
#include "backend.h"
#include "check.h"

#include <algorithm>

namespace dllm {

namespace {

constexpr int64_t ELEMENTS_PER_UNIT = 1 << 14;

int64_t rows_per_unit(int64_t cols) { return std::max<int64_t>(1, ELEMENTS_PER_UNIT / std::max<int64_t>(1, cols)); }

int64_t input_columns(int64_t cols, Activation kind) { return kind == Activation::swiglu ? 2 * cols : cols; }

}  // namespace

void CpuBackend::activation_forward(Tensor out, Tensor x, Activation kind) {
    const OpCheck check("activation_forward");
    check.shape("out", out, x.rows, out.cols);
    check.shape("x", x, x.rows, input_columns(out.cols, kind));
    const RowsForward kernel = kernels_.activation_forward[int(kind)];
    parallel_ranges(out.rows, rows_per_unit(out.cols), [&](int64_t begin, int64_t end) {
        kernel(rows_of(out.slice_rows(begin, 0)), const_rows_of(x.slice_rows(begin, 0)), end - begin, out.cols);
    });
}

void CpuBackend::activation_backward(Tensor dx, Tensor dout, Tensor x, Activation kind) {
    const OpCheck check("activation_backward");
    check.shape("dx", dx, x.rows, x.cols);
    check.shape("dout", dout, x.rows, dout.cols);
    check.shape("x", x, x.rows, input_columns(dout.cols, kind));
    const RowsBackward kernel = kernels_.activation_backward[int(kind)];
    parallel_ranges(dout.rows, rows_per_unit(dout.cols), [&](int64_t begin, int64_t end) {
        kernel(rows_of(dx.slice_rows(begin, 0)), const_rows_of(dout.slice_rows(begin, 0)),
               const_rows_of(x.slice_rows(begin, 0)), end - begin, dout.cols);
    });
}

}  // namespace dllm
