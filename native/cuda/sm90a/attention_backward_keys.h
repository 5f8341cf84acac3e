// The gradients of keys and values with the matrix products of warpgroups: as ../attention_backward_keys.h. A block is
// one warpgroup with 64 keys, whose sums fill its registers.
#pragma once

#include "../attention_gradients.h"
#include "tile.h"

namespace dllm::cuda::sm90a {

// Whether keys and values stay in shared memory and are read again for every product, for lack of registers.
template <int WIDTH>
constexpr bool ROWS_STAY = WIDTH > 64;

// Two stages of queries and gradients, perhaps keys and values, and two stages of statistics.
template <int WIDTH>
constexpr size_t SWIZZLED_KEYS_BYTES =
    (ROWS_STAY<WIDTH> ? 6 : 4) * SWIZZLED_ELEMENTS<WIDTH> * sizeof(bfloat16) + 2 * MAP_TILE * sizeof(float2);

// dk, dv, k, v (B Tk, G D)   dout, q (B Tq, H D)   statistics: see attention_statistics.h
template <int WIDTH>
__global__ void __launch_bounds__(ATTENTION_THREADS, WIDTH <= 64 ? 3 : 2)
    attention_backward_keys_kernel(Rows<bfloat16> dk, Rows<bfloat16> dv, Rows<const bfloat16> dout,
                                   Rows<const bfloat16> q, Rows<const bfloat16> k, Rows<const bfloat16> v,
                                   const float2* statistics, AttentionTask task) {
    constexpr int TILE = SWIZZLED_ELEMENTS<WIDTH>, TILES = ROWS_STAY<WIDTH> ? 6 : 4;
    constexpr int QUERIES = 32;  // at a time: as many as the registers allow
    auto* shared = shared_tiles<bfloat16>();
    bfloat16 *keys = shared + (TILES - 2) * TILE, *values = keys + TILE;
    auto* shared_statistics = reinterpret_cast<float2*>(shared + TILES * TILE);
    const RowBlock block = key_block(task, MAP_TILE);
    const int64_t first_key = int64_t(block.b) * task.key_length + block.first;
    const unsigned key_column = block.head * unsigned(task.width);
    const auto load_stage = [&](int stage, const QueryTiles& at) {
        const int head = int(block.head) * task.group + at.head, first = at.tile * MAP_TILE;
        const int64_t row = int64_t(block.b) * task.query_length + first;
        const int rows = block.sequence.queries - first, column = head * task.width;
        bfloat16* tile = shared + stage * 2 * TILE;
        load_swizzled<WIDTH, ATTENTION_THREADS>(tile, rows_at(q, row, column), rows, task);
        load_swizzled<WIDTH, ATTENTION_THREADS>(tile + TILE, rows_at(dout, row, column), rows, task);
        const int thread = int(threadIdx.x);
        if (thread < MAP_TILE / 2)
            cp_async_16(shared_statistics + stage * MAP_TILE + 2 * thread,
                        statistics + statistics_row(task, block.b, head) + first + 2 * thread);
    };

    // Keys and values pass through the second stage, unless they stay.
    QueryTiles tiles(task, block);
    load_swizzled<WIDTH, ATTENTION_THREADS>(keys, rows_at(k, first_key, key_column), block.inside, task);
    load_swizzled<WIDTH, ATTENTION_THREADS>(values, rows_at(v, first_key, key_column), block.inside, task);
    if (!tiles.end()) load_stage(0, tiles);
    cp_async_commit();
    cp_async_wait<0>();
    sync_threads();
    const int warp_row = int(threadIdx.x) / WARP_SIZE * 16;
    RowFragments<1, WIDTH / 16> key_rows, value_rows;
    if constexpr (!ROWS_STAY<WIDTH>) {
        load_swizzled_rows<WIDTH>(key_rows[0], keys, warp_row);
        load_swizzled_rows<WIDTH>(value_rows[0], values, warp_row);
    }

    const float scale = task.scale * LOG2_E;
    SumFragments<1, WIDTH / 8> key_sums, value_sums;
    clear<1, WIDTH / 8>(key_sums);
    clear<1, WIDTH / 8>(value_sums);
    for (int stage = 0; !tiles.end(); stage = 1 - stage) {
        const int kind = tiles.kind();  // read beside the copies
        tiles.advance();
        wait_for_tiles();  // this stage is here, and nobody reads the other any more
        if (!tiles.end()) load_stage(1 - stage, tiles);
        cp_async_commit();
#pragma unroll 1
        for (int first = 0; first < MAP_TILE; first += QUERIES) {
            const bfloat16* queries = shared + stage * 2 * TILE + first * PANEL_COLUMNS;
            const bfloat16* gradients = queries + TILE;
            OpenScores<1, QUERIES / 8> open;
            if (kind != TileMap::OPEN) open.load_queries(task, kind, warp_row, first);
            SumFragments<1, QUERIES / 8> scores, dweights;
            // The gradient of the weights is computed beside the weights, and that of the values beside that of scores.
            wgmma_fence_operands(scores, dweights);
            if constexpr (!ROWS_STAY<WIDTH>) wgmma_fence_operands(key_rows, value_rows);
            wgmma_fence();
            if constexpr (ROWS_STAY<WIDTH>) {
                issue_dot_products<WIDTH>(scores[0], keys, queries);
                wgmma_commit();
                issue_dot_products<WIDTH>(dweights[0], values, gradients);
            } else {
                issue_dot_products<WIDTH>(scores[0], key_rows[0], queries);
                wgmma_commit();
                issue_dot_products<WIDTH>(dweights[0], value_rows[0], gradients);
            }
            wgmma_commit();
            wgmma_wait<1>();
            wgmma_fence_operands(scores);
            const float2* of_columns = shared_statistics + stage * MAP_TILE + first;
            if (kind != TileMap::OPEN) open.close_others(scores);
            scores_to_weights<QUERIES / 8>(scores, of_columns, scale);
            RowFragments<1, QUERIES / 16> weights, dscores;
            round_to_rows<1, QUERIES / 16>(weights, scores);
            wgmma_fence_operands(scores, value_sums, weights);
            wgmma_wait<0>();
            wgmma_fence_operands(dweights);
            wgmma_fence();
            issue_weighted_rows<WIDTH>(value_sums[0], weights[0], gradients);
            wgmma_commit();
            weights_to_gradients<QUERIES / 8>(dweights, scores, of_columns);
            round_to_rows<1, QUERIES / 16>(dscores, dweights);
            wgmma_fence_operands(key_sums, dscores);
            wgmma_fence();
            issue_weighted_rows<WIDTH>(key_sums[0], dscores[0], queries);
            finish_products();
            wgmma_fence_operands(value_sums, key_sums, weights, dscores);
        }
    }

    const float key_factors[1][2] = {{task.scale, task.scale}}, value_factors[1][2] = {{1, 1}};
    sync_threads();  // the stages serve for the results
    bfloat16* value_results = shared + TILE_ELEMENTS<WIDTH>;
    write_rows<WIDTH, 1>(shared + warp_row * TILE_STRIDE<WIDTH>, key_sums, key_factors);
    write_rows<WIDTH, 1>(value_results + warp_row * TILE_STRIDE<WIDTH>, value_sums, value_factors);
    sync_threads();
    store_tile<WIDTH>(rows_at(dk, first_key, key_column), shared, block.rows, block.inside, task);
    store_tile<WIDTH>(rows_at(dv, first_key, key_column), value_results, block.rows, block.inside, task);
}

}  // namespace dllm::cuda::sm90a
