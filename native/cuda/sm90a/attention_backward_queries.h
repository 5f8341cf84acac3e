// The gradient of the queries with the matrix products of warpgroups: as ../attention_backward_queries.h, but each of a
// block's GROUPS warpgroups keeps 64 queries, and keys and values are read from shared memory once for all of them.
#pragma once

#include "../attention_gradients.h"
#include "stages.h"

namespace dllm::cuda::sm90a {

// dq, dout, q (B Tq, H D)   k, v (B Tk, G D)   statistics: see attention_statistics.h
template <int WIDTH, int GROUPS>
__global__ void __launch_bounds__(GROUPS* ATTENTION_THREADS, (RESIDENT_GROUPS_BLOCKS<WIDTH, GROUPS>))
    attention_backward_queries_kernel(Rows<bfloat16> dq, Rows<const bfloat16> dout, Rows<const bfloat16> q,
                                      Rows<const bfloat16> k, Rows<const bfloat16> v, const float2* statistics,
                                      AttentionTask task) {
    constexpr int QUERIES = MAP_TILE * GROUPS, THREADS = ATTENTION_THREADS * GROUPS;
    constexpr int KEYS = 32;                  // at a time: as many as the registers allow
    auto* shared = shared_tiles<bfloat16>();  // two stages of keys and values
    const RowBlock block = query_block(task, QUERIES);
    const KeyTiles tiles(task, block);
    const int64_t first_query = int64_t(block.b) * task.query_length + block.first;
    const unsigned column = block.head * unsigned(task.width);
    const SwizzledKeyStages<WIDTH, THREADS> stages(shared, k, v, block, task);

    // Queries and their gradients pass through the stages.
    load_block_rows<WIDTH, GROUPS>(stages.keys_of(0), rows_at(q, first_query, column), block, task);
    load_block_rows<WIDTH, GROUPS>(stages.keys_of(1), rows_at(dout, first_query, column), block, task);
    cp_async_commit();
    cp_async_wait<0>();
    sync_threads();
    const int group = int(threadIdx.x) / ATTENTION_THREADS, group_row = int(threadIdx.x) / WARP_SIZE % 4 * 16;
    const int warp_row = group * MAP_TILE + group_row, own_tile = group * SWIZZLED_ELEMENTS<WIDTH>;
    RowFragments<1, WIDTH / 16> query_rows, gradient_rows;
    load_swizzled_rows<WIDTH>(query_rows[0], stages.keys_of(0) + own_tile, group_row);
    load_swizzled_rows<WIDTH>(gradient_rows[0], stages.keys_of(1) + own_tile, group_row);
    float2 of_row[1][2];
    load_statistics<1>(of_row, statistics + statistics_row(task, block.b, block.head), block, warp_row);
    sync_threads();

    const float scale = task.scale * LOG2_E;
    SumFragments<1, WIDTH / 8> sums;
    clear<1, WIDTH / 8>(sums);
    int tile = tiles.next(0), stage = 0;
    if (tile < tiles.count) stages.load(0, tile);
    cp_async_commit();
    while (tile < tiles.count) {
        const int kind = tiles.kind(group, tile), next = tiles.next(tile + 1);  // read beside the copies
        wait_for_tiles();  // this stage is here, and nobody reads the other any more
        if (next < tiles.count) stages.load(1 - stage, next);
        cp_async_commit();
        const int count = block.sequence.keys - tile * MAP_TILE;
        const bool masked = kind != TileMap::OPEN || count < MAP_TILE;
#pragma unroll 1
        for (int first = 0; first < MAP_TILE && kind != TileMap::CLOSED; first += KEYS) {
            const bfloat16* keys = stages.keys_of(stage) + first * PANEL_COLUMNS;
            const bfloat16* values = stages.values_of(stage) + first * PANEL_COLUMNS;
            OpenScores<1, KEYS / 8> open;
            if (masked) open.load_keys(task, kind, group_row, first, count);
            SumFragments<1, KEYS / 8> scores, dweights;
            wgmma_fence_operands(scores, dweights, query_rows, gradient_rows);
            wgmma_fence();
            issue_dot_products<WIDTH>(scores[0], query_rows[0], keys);
            wgmma_commit();
            issue_dot_products<WIDTH>(dweights[0], gradient_rows[0], values);
            wgmma_commit();
            wgmma_wait<1>();
            wgmma_fence_operands(scores, query_rows);
            if (masked) open.close_others(scores);
            scores_to_weights<1, KEYS / 8>(scores, of_row, scale);
            wgmma_fence_operands(scores);
            wgmma_wait<0>();
            wgmma_fence_operands(dweights, gradient_rows);
            weights_to_gradients<1, KEYS / 8>(dweights, scores, of_row);
            RowFragments<1, KEYS / 16> dscores;
            round_to_rows<1, KEYS / 16>(dscores, dweights);
            wgmma_fence_operands(sums, dscores);
            wgmma_fence();
            issue_weighted_rows<WIDTH>(sums[0], dscores[0], keys);
            finish_products();
            wgmma_fence_operands(sums, dscores);
        }
        tile = next;
        stage = 1 - stage;
    }

    const float factors[1][2] = {{task.scale, task.scale}};
    sync_threads();  // the stages serve for the result
    write_rows<WIDTH, 1>(shared + warp_row * TILE_STRIDE<WIDTH>, sums, factors);
    sync_threads();
    store_tile<WIDTH, THREADS>(rows_at(dq, first_query, column), shared, block.rows, block.inside, task);
}

}  // namespace dllm::cuda::sm90a
