// Layer norm and RMS norm.
#include "../norm_check.h"
#include "backend.h"
#include "dispatch.h"
#include "norm_row.h"

#include <hardware.h>

namespace dllm::cuda {
namespace {

// Threads in a block, and blocks that a multiprocessor holds at once, at up to 48 registers a thread
constexpr unsigned FORWARD_THREADS = 256, FORWARD_BLOCKS = 5;
static_assert(MAX_NORM_ROW_THREADS <= FORWARD_THREADS);

// out, x (rows, columns)   rstd (rows)   mean (rows); null for the RMS norm   bias (columns) or null
template <class T, int WIDTH>
__global__ void __launch_bounds__(FORWARD_THREADS, FORWARD_BLOCKS)
    norm_forward(Rows<T> out, float* mean, float* rstd, Rows<const T> x, const T* weight, const T* bias, float eps,
                 int64_t rows, int columns) {
    const int64_t row = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
    const int own = row < rows ? columns : 0;  // past the end, threads only take part in the sums
    const OwnColumns<T, WIDTH> values(x.row(row), own);
    float m = 0;
    if (mean != nullptr) {
        float sum = 0;
        for_own_columns<WIDTH>(own, [&](int group, int column) {
            float part[WIDTH];
            values.get(part, group, column);
            for (int i = 0; i < WIDTH; i++) sum += part[i];
        });
        m = row_sum(sum) / float(columns);
    }
    float squares = 0;
    for_own_columns<WIDTH>(own, [&](int group, int column) {
        float part[WIDTH];
        values.get(part, group, column);
        for (int i = 0; i < WIDTH; i++) squares = fmaf(part[i] - m, part[i] - m, squares);
    });
    const float s = 1.0f / sqrtf(row_sum(squares) / float(columns) + eps);
    if (own != 0 && threadIdx.x == 0) {
        if (mean != nullptr) mean[row] = m;
        rstd[row] = s;
    }
    for_own_columns<WIDTH>(own, [&](int group, int column) {
        float part[WIDTH], scale[WIDTH], shift[WIDTH] = {};
        values.get(part, group, column);
        load(scale, weight + column);
        if (bias != nullptr) load(shift, bias + column);
        for (int i = 0; i < WIDTH; i++) part[i] = fmaf((part[i] - m) * s, scale[i], shift[i]);
        store(out.row(row) + column, part);
    });
}

void run_forward(const char* name, Tensor out, Tensor mean, Tensor rstd, Tensor x, Tensor weight, Tensor bias,
                 float eps, cudaStream_t stream) {
    const int64_t N = x.rows, C = x.cols;
    check_columns(OpCheck(name), x);
    if (x.count() == 0) return;
    dispatch(x.dtype, in_packs({out, x, weight, bias}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        const dim3 block = norm_block(C, WIDTH, FORWARD_THREADS);
        check(launch(norm_forward<T, WIDTH>, dim3(blocks_for(N, block.y)), block, norm_shared_bytes(block), stream,
                     rows_of<T>(out), mean.f32(), rstd.f32(), rows_of<const T>(x), static_cast<const T*>(weight.data),
                     static_cast<const T*>(bias.data), eps, N, C),
              name);
    });
}

}  // namespace

void CudaBackend::layer_norm_forward(Tensor out, Tensor mean, Tensor rstd, Tensor x, Tensor weight, Tensor bias,
                                     float eps) {
    check_layer_norm_forward(OpCheck("layer_norm_forward"), out, mean, rstd, x, weight, bias, compute_);
    run_forward("layer_norm_forward", out, mean, rstd, x, weight, bias, eps, context_.stream());
}

void CudaBackend::rms_norm_forward(Tensor out, Tensor rstd, Tensor x, Tensor weight, float eps) {
    check_rms_norm_forward(OpCheck("rms_norm_forward"), out, rstd, x, weight, compute_);
    run_forward("rms_norm_forward", out, {}, rstd, x, weight, {}, eps, context_.stream());
}

}  // namespace dllm::cuda
