// Attention forward on tensor cores (Dao, "FlashAttention-2", 2023). Each of a block's four warps keeps 16 ROW_TILES
// queries and their sums in registers and passes over the tiles of keys; copies of the next tile run beside it. Weights
// are powers of two of scores times scale log2(e), and the softmax is made on the way (Milakov & Gimelshein, 2018).
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

    // The sums of whole rows, after the last tile.
    __device__ void join_lanes() {
#pragma unroll
        for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
            for (int upper = 0; upper < 2; upper++) {
                sum[m][upper] += shuffle_xor(sum[m][upper], 1);
                sum[m][upper] += shuffle_xor(sum[m][upper], 2);
            }
    }
};

// q, out (B Tq, H D)   k, v (B Tk, G D)   log_sum_exp (B H, Tq)
template <int WIDTH, int ROW_TILES>
__global__ void __launch_bounds__(ATTENTION_THREADS, (RESIDENT_BLOCKS<WIDTH, ROW_TILES>))
    attention_forward_kernel(Rows<bfloat16> out, float* log_sum_exp, Rows<const bfloat16> q, Rows<const bfloat16> k,
                             Rows<const bfloat16> v, AttentionTask task) {
    constexpr int QUERIES = MAP_TILE * ROW_TILES, WARP_ROWS = 16 * ROW_TILES;
    auto* shared = shared_memory<bfloat16>();  // two stages of keys and values
    const RowBlock block = query_block(task, QUERIES);
    const KeyTiles tiles(task, block);
    const int64_t first_query = int64_t(block.b) * task.query_length + block.first;
    const unsigned column = block.head * unsigned(task.width);
    const KeyStages<WIDTH> stages(shared, k, v, block, task);

    // The queries pass through the stage that the second tile will use.
    int tile = tiles.next(0), stage = 0;
    bfloat16* queries = stages.keys_of(1);
    load_tile<WIDTH, QUERIES>(queries, rows_at(q, first_query, column), block.inside, task);
    if (tile < tiles.count) stages.load(0, tile);
    cp_async_commit();
    cp_async_wait<0>();
    sync_threads();
    const int warp_row = int(threadIdx.x) / WARP_SIZE * WARP_ROWS;
    RowFragments<ROW_TILES, WIDTH / 16> query_rows;
    load_rows<WIDTH, ROW_TILES>(query_rows, queries + warp_row * TILE_STRIDE<WIDTH>);

    const float scale = task.scale * LOG2_E;
    const int map_row = warp_row < block.inside ? warp_row / MAP_TILE : tiles.rows;
    RunningSoftmax<ROW_TILES> softmax;
    SumFragments<ROW_TILES, WIDTH / 8> sums;
    clear<ROW_TILES, WIDTH / 8>(sums);
    while (tile < tiles.count) {
        const int kind = tiles.kind(map_row, tile), next = tiles.next(tile + 1);  // read beside the copies
        cp_async_wait<0>();
        sync_threads();  // this stage is here, and nobody reads the other any more
        if (next < tiles.count) stages.load(1 - stage, next);
        cp_async_commit();
        if (kind != TileMap::CLOSED) {
            const int count = block.sequence.keys - tile * MAP_TILE;
            const bool masked = kind != TileMap::OPEN || count < MAP_TILE;
            OpenScores<ROW_TILES, MAP_TILE / 8> open;
            if (masked) open.load_keys(task, kind, warp_row % MAP_TILE, 0, count);
            SumFragments<ROW_TILES, MAP_TILE / 8> scores;
            clear<ROW_TILES, MAP_TILE / 8>(scores);
            add_dot_products<WIDTH, ROW_TILES, MAP_TILE / 8>(scores, query_rows, stages.keys_of(stage));
            if (masked) open.close_others(scores);
            softmax.add(scores, sums, scale);
            RowFragments<ROW_TILES, MAP_TILE / 16> weights;
            round_to_rows<ROW_TILES, MAP_TILE / 16>(weights, scores);
            add_weighted_rows<WIDTH, ROW_TILES, MAP_TILE / 16>(sums, weights, stages.values_of(stage));
        }
        tile = next;
        stage = 1 - stage;
    }

    softmax.join_lanes();
    const int lane = int(threadIdx.x) % WARP_SIZE;
    float factors[ROW_TILES][2];
    float* statistics = log_sum_exp + (int64_t(block.b) * task.heads + block.head) * task.query_length + block.first;
#pragma unroll
    for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
        for (int upper = 0; upper < 2; upper++) {
            const float sum = softmax.sum[m][upper];
            const int row = warp_row + 16 * m + 8 * upper + lane / 4;
            factors[m][upper] = sum > 0 ? 1.0f / sum : 0.0f;
            // Infinity where no key is open: it makes every probability of the backward pass zero.
            const bool open = sum > 0 && row < block.inside;
            if (lane % 4 == 0 && row < block.rows)
                statistics[row] = open ? fmaf(softmax.unit[m][upper] * scale, LN_2, logf(sum)) : INFINITY;
        }
    sync_threads();  // the stages serve for the result
    write_rows<WIDTH, ROW_TILES>(shared + warp_row * TILE_STRIDE<WIDTH>, sums, factors);
    sync_threads();
    store_tile<WIDTH>(rows_at(out, first_query, column), shared, block.rows, block.inside, task);
}

}  // namespace dllm::cuda
