// What the backward pass makes of scores and of the gradients of weights, between its products: P is rebuilt from
// log_sum_exp, and dS = P (dP - rowsum(dout out)). Statistics are those of attention_statistics.h.
#pragma once

#include "attention_fragments.h"

namespace dllm::cuda {

// Rows are keys: scores become P; statistics (8 TILES): of each column's query
template <int TILES>
__device__ void scores_to_weights(SumFragments<1, TILES>& scores, const float2* statistics, float scale) {
    const int t = int(threadIdx.x) % 4;
#pragma unroll
    for (int n = 0; n < TILES; n++) {
        const float4 pair = *reinterpret_cast<const float4*>(statistics + 8 * n + 2 * t);
#pragma unroll
        for (int i = 0; i < 4; i++)
            scores[0][n][i] = fast_exp2(fmaf(scores[0][n][i], scale, i % 2 == 0 ? -pair.x : -pair.z));
    }
}

// The same: dweights become dS.
template <int TILES>
__device__ void weights_to_gradients(SumFragments<1, TILES>& dweights, const SumFragments<1, TILES>& weights,
                                     const float2* statistics) {
    const int t = int(threadIdx.x) % 4;
#pragma unroll
    for (int n = 0; n < TILES; n++) {
        const float4 pair = *reinterpret_cast<const float4*>(statistics + 8 * n + 2 * t);
#pragma unroll
        for (int i = 0; i < 4; i++)
            dweights[0][n][i] = weights[0][n][i] * (dweights[0][n][i] - (i % 2 == 0 ? pair.y : pair.w));
    }
}

// Rows are queries: scores become P; statistics of each row that a lane holds
template <int ROW_TILES, int TILES>
__device__ void scores_to_weights(SumFragments<ROW_TILES, TILES>& scores, const float2 (&statistics)[ROW_TILES][2],
                                  float scale) {
#pragma unroll
    for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
        for (int n = 0; n < TILES; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                scores[m][n][i] = fast_exp2(fmaf(scores[m][n][i], scale, -statistics[m][i / 2].x));
}

// The same: dweights become dS.
template <int ROW_TILES, int TILES>
__device__ void weights_to_gradients(SumFragments<ROW_TILES, TILES>& dweights,
                                     const SumFragments<ROW_TILES, TILES>& weights,
                                     const float2 (&statistics)[ROW_TILES][2]) {
#pragma unroll
    for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
        for (int n = 0; n < TILES; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                dweights[m][n][i] = weights[m][n][i] * (dweights[m][n][i] - statistics[m][i / 2].y);
}

// Those of a head's queries, for each row that a lane holds, where its first one is row warp_row of the block.
template <int ROW_TILES>
__device__ void load_statistics(float2 (&of_row)[ROW_TILES][2], const float2* of_head, const RowBlock& block,
                                int warp_row) {
    const int lane = int(threadIdx.x) % WARP_SIZE;
#pragma unroll
    for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
        for (int upper = 0; upper < 2; upper++) {
            const int row = warp_row + 16 * m + 8 * upper + lane / 4;
            of_row[m][upper] = row < block.rows ? of_head[block.first + row] : make_float2(INFINITY, 0);
        }
}

}  // namespace dllm::cuda
