// Layer norm and RMS norm.
#include "../ceil_div.h"
#include "../norm_check.h"
#include "../thread_pool.h"
#include "backend.h"
#include "check.h"
#include "scratch.h"

#include <cstring>

namespace dllm {

namespace {

// Weight gradients are summed over chunks of this many rows, and the chunks in order: one result at any thread count.
constexpr int64_t ROWS_PER_CHUNK = 256;
constexpr int64_t ROWS_PER_UNIT = 64;

// backward(begin, end, sums) adds the sums over its rows to `sums`: `sums_per_column` rows of C, zero at first.
template <class Backward>
void sum_by_chunks(const Kernels& kernels, int64_t N, int64_t C, float* const* totals, int64_t sums_per_column,
                   const Backward& backward) {
    const int64_t chunks = ceil_div(N, ROWS_PER_CHUNK), chunk_floats = sums_per_column * C;
    float* partial = scratch(ScratchUse::shared, chunks * chunk_floats);
    parallel_for(chunks, [&](int64_t chunk) {
        float* sums = partial + chunk * chunk_floats;
        std::memset(sums, 0, size_t(chunk_floats) * sizeof(float));
        const int64_t begin = chunk * ROWS_PER_CHUNK;
        backward(begin, std::min(begin + ROWS_PER_CHUNK, N), sums);
    });
    for (int64_t sum = 0; sum < sums_per_column; sum++) {
        kernels.column_sums(totals[sum], {partial + sum * C, chunk_floats}, chunks, C);
    }
}

}  // namespace

void CpuBackend::layer_norm_forward(Tensor out, Tensor mean, Tensor rstd, Tensor x, Tensor weight, Tensor bias,
                                    float eps) {
    check_layer_norm_forward(OpCheck("layer_norm_forward"), out, mean, rstd, x, weight, bias);
    const int64_t N = x.rows, C = x.cols;
    parallel_ranges(N, ROWS_PER_UNIT, [&](int64_t begin, int64_t end) {
        kernels_.layer_norm_forward(rows_of(out.slice_rows(begin, 0)), mean.f32() + begin, rstd.f32() + begin,
                                    const_rows_of(x.slice_rows(begin, 0)), weight.f32(), bias.f32(), eps, end - begin,
                                    C);
    });
}

void CpuBackend::layer_norm_backward(Tensor dx, Tensor dweight, Tensor dbias, Tensor dout, Tensor x, Tensor weight,
                                     Tensor mean, Tensor rstd) {
    check_layer_norm_backward(OpCheck("layer_norm_backward"), dx, dweight, dbias, dout, x, weight, mean, rstd);
    const int64_t N = x.rows, C = x.cols;
    float* const totals[] = {dweight.f32(), dbias.f32()};
    sum_by_chunks(kernels_, N, C, totals, dbias ? 2 : 1, [&](int64_t begin, int64_t end, float* sums) {
        kernels_.layer_norm_backward(rows_of(dx.slice_rows(begin, 0)), sums, dbias ? sums + C : nullptr,
                                     const_rows_of(dout.slice_rows(begin, 0)), const_rows_of(x.slice_rows(begin, 0)),
                                     weight.f32(), mean.f32() + begin, rstd.f32() + begin, end - begin, C);
    });
}

void CpuBackend::rms_norm_forward(Tensor out, Tensor rstd, Tensor x, Tensor weight, float eps) {
    check_rms_norm_forward(OpCheck("rms_norm_forward"), out, rstd, x, weight);
    const int64_t N = x.rows, C = x.cols;
    parallel_ranges(N, ROWS_PER_UNIT, [&](int64_t begin, int64_t end) {
        kernels_.rms_norm_forward(rows_of(out.slice_rows(begin, 0)), rstd.f32() + begin,
                                  const_rows_of(x.slice_rows(begin, 0)), weight.f32(), eps, end - begin, C);
    });
}

void CpuBackend::rms_norm_backward(Tensor dx, Tensor dweight, Tensor dout, Tensor x, Tensor weight, Tensor rstd) {
    check_rms_norm_backward(OpCheck("rms_norm_backward"), dx, dweight, dout, x, weight, rstd);
    const int64_t N = x.rows, C = x.cols;
    float* const totals[] = {dweight.f32()};
    sum_by_chunks(kernels_, N, C, totals, 1, [&](int64_t begin, int64_t end, float* sums) {
        kernels_.rms_norm_backward(rows_of(dx.slice_rows(begin, 0)), sums, const_rows_of(dout.slice_rows(begin, 0)),
                                   const_rows_of(x.slice_rows(begin, 0)), weight.f32(), rstd.f32() + begin, end - begin,
                                   C);
    });
}

}  // namespace dllm
