// Column sums: see column_sums.h. First over ranges of rows, then over the ranges.
#include "column_sums.h"

#include "dispatch.h"

#include <hardware.h>

#include <algorithm>

namespace dllm::cuda {
namespace {

// finish(column, sum) for each of the block's columns of x: a warp sums every WARPS-th row, a lane WIDTH columns of it,
// and the warps' sums are added in their order.
template <int WIDTH, int WARPS, class T, class Finish>
__device__ inline void sum_columns(Rows<const T> x, int64_t rows, int64_t columns, const Finish& finish) {
    constexpr int BATCH = 4;  // rows under way at once
    constexpr int BLOCK_COLUMNS = WARP_SIZE * WIDTH;
    float* const sums = shared_memory<float>();  // (WARPS, BLOCK_COLUMNS)
    const int64_t first_column = int64_t(blockIdx.x) * BLOCK_COLUMNS, column = first_column + lane_id() * WIDTH;
    float sum[WIDTH] = {};
    for (int64_t row = warp_id(); row < rows && column < columns; row += BATCH * WARPS) {
        Raw<T, WIDTH> batch[BATCH] = {};  // zeros past the last row
#pragma unroll
        for (int b = 0; b < BATCH; b++)
            if (row + b * WARPS < rows) batch[b] = load_raw<WIDTH>(x.row(row + b * WARPS) + column);
#pragma unroll
        for (int b = 0; b < BATCH; b++) {
            float values[WIDTH];
            widen(values, batch[b]);
            for (int i = 0; i < WIDTH; i++) sum[i] += values[i];
        }
    }
    store(sums + warp_id() * BLOCK_COLUMNS + lane_id() * WIDTH, sum);
    sync_threads();
    for (int c = int(threadIdx.x); c < BLOCK_COLUMNS && first_column + c < columns; c += WARPS * WARP_SIZE) {
        float total = 0;
        for (int warp = 0; warp < WARPS; warp++) total += sums[warp * BLOCK_COLUMNS + c];
        finish(first_column + c, total);
    }
}

constexpr int RANGE_WARPS = 8, RANGE_THREADS = RANGE_WARPS * WARP_SIZE;

// partial (ranges, columns) = sums over each range of rows of x
template <class T, int WIDTH>
__global__ void __launch_bounds__(RANGE_THREADS)
    sum_ranges(float* partial, Rows<const T> x, int64_t rows, int64_t rows_per_range, int64_t columns) {
    const int64_t range = blockIdx.y, first = range * rows_per_range, left = rows - first;
    sum_columns<WIDTH, RANGE_WARPS>(Rows<const T>{x.row(first), x.stride},
                                    left < rows_per_range ? left : rows_per_range, columns,
                                    [&](int64_t column, float sum) { partial[range * columns + column] = sum; });
}

constexpr int PART_WARPS = 32, PART_THREADS = PART_WARPS * WARP_SIZE;

__global__ void __launch_bounds__(PART_THREADS)
    add_parts(float* first, float* second, const float* partial, int64_t parts, int64_t stride, int64_t columns) {
    float* const out = blockIdx.y == 0 ? first : second;
    sum_columns<1, PART_WARPS>(Rows<const float>{partial + blockIdx.y * columns, stride}, parts, columns,
                               [&](int64_t column, float sum) { out[column] += sum; });
}

}  // namespace

void add_column_sums(Tensor out, Tensor x, Scratch& scratch, cudaStream_t stream) {
    constexpr int64_t ROWS_PER_RANGE = 256, MOST_RANGES = 65535;
    const int64_t rows_per_range = std::max(ROWS_PER_RANGE, ceil_div(x.rows, MOST_RANGES));
    const int64_t ranges = ceil_div(x.rows, rows_per_range);
    auto* const partial = static_cast<float*>(scratch.get(size_t(ranges * x.cols) * sizeof(float)));
    dispatch(x.dtype, in_packs({x}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        const dim3 grid(blocks_for(x.cols, WARP_SIZE * WIDTH), unsigned(ranges));
        check(launch(sum_ranges<T, WIDTH>, grid, dim3(RANGE_THREADS), RANGE_THREADS * WIDTH * sizeof(float), stream,
                     partial, rows_of<const T>(x), x.rows, rows_per_range, x.cols),
              "add_column_sums");
    });
    add_partial_sums(out.f32(), nullptr, partial, ranges, x.cols, x.cols, stream);
}

void add_partial_sums(float* first, float* second, const float* partial, int64_t parts, int64_t stride, int64_t columns,
                      cudaStream_t stream) {
    const dim3 grid(blocks_for(columns, WARP_SIZE), second == nullptr ? 1 : 2);
    check(launch(add_parts, grid, dim3(PART_THREADS), PART_THREADS * sizeof(float), stream, first, second, partial,
                 parts, stride, columns),
          "add_partial_sums");
}

}  // namespace dllm::cuda
