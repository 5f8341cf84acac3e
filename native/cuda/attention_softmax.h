// The softmax of rows whose scores come tile by tile (Milakov & Gimelshein, 2018). Weights are powers of two of scores
// times scale log2(e).
#pragma once

#include "attention_fragments.h"

namespace dllm::cuda {

// Weights keep their power of two until a score exceeds it by more than this: they are then at most 2^8, as precise in
// bfloat16 as at most 1, and most tiles spare the sums a product.
constexpr float MOST_GROWTH = 8;

// The score whose weight is 1, near the largest, and the sum of weights of each row that a lane holds; the sum is of
// the lane's own columns.
template <int ROW_TILES>
struct RunningSoftmax {
    float unit[ROW_TILES][2], sum[ROW_TILES][2];

    __device__ RunningSoftmax() {
#pragma unroll
        for (int m = 0; m < ROW_TILES; m++) {
            unit[m][0] = unit[m][1] = -INFINITY;
            sum[m][0] = sum[m][1] = 0;
        }
    }

    // Scores become weights, and what was summed with earlier weights is brought to the same power.
    template <int TILES, int SUM_TILES>
    __device__ void add(SumFragments<ROW_TILES, TILES>& scores, SumFragments<ROW_TILES, SUM_TILES>& sums, float scale) {
        float factors[ROW_TILES][2];
        bool changes = false;
#pragma unroll
        for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
            for (int upper = 0; upper < 2; upper++) {
                float now = unit[m][upper];
#pragma unroll
                for (int n = 0; n < TILES; n++)
                    now = fmaxf(now, fmaxf(scores[m][n][2 * upper], scores[m][n][2 * upper + 1]));
                now = fmaxf(now, shuffle_xor(now, 1));
                now = fmaxf(now, shuffle_xor(now, 2));
                if ((now - unit[m][upper]) * scale <= MOST_GROWTH) now = unit[m][upper];
                // No open key so far: any finite number makes all weights zero, and no NaN.
                const float shift = now == -INFINITY ? 0.0f : -now * scale;
                // From the shift that the earlier weights had: exactly 1 while the power stays.
                factors[m][upper] = fast_exp2(shift + unit[m][upper] * scale);
                changes |= factors[m][upper] != 1.0f;
                unit[m][upper] = now;
                float total = 0;
#pragma unroll
                for (int n = 0; n < TILES; n++)
#pragma unroll
                    for (int next = 0; next < 2; next++) {
                        float& score = scores[m][n][2 * upper + next];
                        score = fast_exp2(fmaf(score, scale, shift));
                        total += score;
                    }
                sum[m][upper] = fmaf(sum[m][upper], factors[m][upper], total);
            }
        if (!any(changes)) return;
#pragma unroll
        for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
            for (int n = 0; n < SUM_TILES; n++)
#pragma unroll
                for (int i = 0; i < 4; i++) sums[m][n][i] *= factors[m][i / 2];
    }

    // After the last tile, where the lane's first row is row warp_row of the block: what each row's sums are to be
    // multiplied by, and log_sum_exp (Tq) of the head.
    __device__ void finish(float (&factors)[ROW_TILES][2], float* log_sum_exp, const RowBlock& block, int warp_row,
                           float scale) {
        const int lane = int(threadIdx.x) % WARP_SIZE;
#pragma unroll
        for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
            for (int upper = 0; upper < 2; upper++) {
                float total = sum[m][upper];
                total += shuffle_xor(total, 1);
                total += shuffle_xor(total, 2);
                factors[m][upper] = total > 0 ? 1.0f / total : 0.0f;
                const int row = warp_row + 16 * m + 8 * upper + lane / 4;
                // Infinity where no key is open: it makes every probability of the backward pass zero.
                const bool open = total > 0 && row < block.inside;
                if (lane % 4 == 0 && row < block.rows)
                    log_sum_exp[block.first + row] = open ? fmaf(unit[m][upper] * scale, LN_2, logf(total)) : INFINITY;
            }
    }
};

}  // namespace dllm::cuda
