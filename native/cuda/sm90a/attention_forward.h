// Attention forward with the matrix products of warpgroups: as ../attention_forward.h, but each of a block's GROUPS
// warpgroups keeps 64 queries, and keys and values are read from shared memory once for all of them.
#pragma once

#include "../attention_softmax.h"
#include "stages.h"

namespace dllm::cuda::sm90a {

// q, out (B Tq, H D)   k, v (B Tk, G D)   log_sum_exp (B H, Tq)
template <int WIDTH, int GROUPS>
__global__ void __launch_bounds__(GROUPS* ATTENTION_THREADS, (RESIDENT_GROUPS_BLOCKS<WIDTH, GROUPS>))
    attention_forward_kernel(Rows<bfloat16> out, float* log_sum_exp, Rows<const bfloat16> q, Rows<const bfloat16> k,
                             Rows<const bfloat16> v, AttentionTask task) {
    constexpr int QUERIES = MAP_TILE * GROUPS, THREADS = ATTENTION_THREADS * GROUPS;
    auto* shared = shared_tiles<bfloat16>();  // two stages of keys and values
    const RowBlock block = query_block(task, QUERIES);
    const KeyTiles tiles(task, block);
    const int64_t first_query = int64_t(block.b) * task.query_length + block.first;
    const unsigned column = block.head * unsigned(task.width);
    const SwizzledKeyStages<WIDTH, THREADS> stages(shared, k, v, block, task);

    // The queries pass through the stage that the second tile will use.
    int tile = tiles.next(0), stage = 0;
    load_block_rows<WIDTH, GROUPS>(stages.keys_of(1), rows_at(q, first_query, column), block, task);
    if (tile < tiles.count) stages.load(0, tile);
    cp_async_commit();
    cp_async_wait<0>();
    sync_threads();
    const int group = int(threadIdx.x) / ATTENTION_THREADS, group_row = int(threadIdx.x) / WARP_SIZE % 4 * 16;
    const int warp_row = group * MAP_TILE + group_row;
    RowFragments<1, WIDTH / 16> query_rows;
    load_swizzled_rows<WIDTH>(query_rows[0], stages.keys_of(1) + group * SWIZZLED_ELEMENTS<WIDTH>, group_row);

    const float scale = task.scale * LOG2_E;
    RunningSoftmax<1> softmax;
    SumFragments<1, WIDTH / 8> sums;
    clear<1, WIDTH / 8>(sums);
    while (tile < tiles.count) {
        const int kind = tiles.kind(group, tile), next = tiles.next(tile + 1);  // read beside the copies
        wait_for_tiles();  // this stage is here, and nobody reads the other any more
        if (next < tiles.count) stages.load(1 - stage, next);
        cp_async_commit();
        if (kind != TileMap::CLOSED) {
            const int count = block.sequence.keys - tile * MAP_TILE;
            const bool masked = kind != TileMap::OPEN || count < MAP_TILE;
            OpenScores<1, MAP_TILE / 8> open;
            if (masked) open.load_keys(task, kind, group_row, 0, count);
            SumFragments<1, MAP_TILE / 8> scores;
            wgmma_fence_operands(scores, query_rows);
            wgmma_fence();
            issue_dot_products<WIDTH>(scores[0], query_rows[0], stages.keys_of(stage));
            finish_products();
            wgmma_fence_operands(scores, query_rows);
            if (masked) open.close_others(scores);
            softmax.add(scores, sums, scale);
            RowFragments<1, MAP_TILE / 16> weights;
            round_to_rows<1, MAP_TILE / 16>(weights, scores);
            wgmma_fence_operands(sums, weights);
            wgmma_fence();
            issue_weighted_rows<WIDTH>(sums[0], weights[0], stages.values_of(stage));
            finish_products();
            wgmma_fence_operands(sums, weights);
        }
        tile = next;
        stage = 1 - stage;
    }

    float factors[1][2];
    softmax.finish(factors, log_sum_exp + (int64_t(block.b) * task.heads + block.head) * task.query_length, block,
                   warp_row, scale);
    sync_threads();  // the stages serve for the result
    write_rows<WIDTH, 1>(shared + warp_row * TILE_STRIDE<WIDTH>, sums, factors);
    sync_threads();
    store_tile<WIDTH, THREADS>(rows_at(out, first_query, column), shared, block.rows, block.inside, task);
}

}  // namespace dllm::cuda::sm90a
