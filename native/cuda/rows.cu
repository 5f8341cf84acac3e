// Gathering and scattering of rows.
#include "backend.h"
#include "dispatch.h"

namespace dllm::cuda {
namespace {

// out (M, C) = x[rows]
template <class T, int WIDTH>
__global__ void gather(Rows<T> out, Rows<const T> x, const int32_t* rows, int64_t M, int64_t C) {
    for_each_group<WIDTH>(
        M, C, [&](int64_t m, int64_t c) { store_raw(out.row(m) + c, load_raw<WIDTH>(x.row(rows[m]) + c)); });
}

// dx[rows] += dout (M, C)
template <class T, int WIDTH>
__global__ void scatter(Rows<T> dx, Rows<const T> dout, const int32_t* rows, int64_t M, int64_t C) {
    for_each_group<WIDTH>(M, C, [&](int64_t m, int64_t c) {
        T* to = dx.row(rows[m]) + c;
        float sums[WIDTH], values[WIDTH];
        load(sums, to);
        load(values, dout.row(m) + c);
        for (int i = 0; i < WIDTH; i++) sums[i] += values[i];
        store(to, sums);
    });
}

}  // namespace

void CudaBackend::gather_rows(Tensor out, Tensor x, Tensor rows) {
    const OpCheck op("gather_rows");
    const int64_t M = rows.cols, C = x.cols;
    op.shape("out", out, M, C, compute_);
    op.shape("x", x, x.rows, C, compute_);
    op.shape("rows", rows, 1, M, DType::i32);
    if (out.count() == 0) return;
    dispatch(compute_, in_packs({out, x}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        launch_over("gather_rows", gather<T, WIDTH>, M, C, WIDTH, context_.stream(), rows_of<T>(out),
                    rows_of<const T>(x), rows.i32());
    });
}

void CudaBackend::scatter_rows(Tensor dx, Tensor dout, Tensor rows) {
    const OpCheck op("scatter_rows");
    const int64_t M = rows.cols, C = dx.cols;
    op.shape("dx", dx, dx.rows, C, compute_);
    op.shape("dout", dout, M, C, compute_);
    op.shape("rows", rows, 1, M, DType::i32);
    if (dout.count() == 0) return;
    dispatch(compute_, in_packs({dx, dout}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        launch_over("scatter_rows", scatter<T, WIDTH>, M, C, WIDTH, context_.stream(), rows_of<T>(dx),
                    rows_of<const T>(dout), rows.i32());
    });
}

}  // namespace dllm::cuda
