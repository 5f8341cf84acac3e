// Attention forward on tensor cores (Dao, "FlashAttention-2", 2023). Each of a block's four warps keeps 16 ROW_TILES
// queries and their sums in registers and passes over the tiles of keys; copies of the next tile run beside it. The
// softmax is made on the way.
#pragma once

#include "attention_fragments.h"
#include "attention_softmax.h"

namespace dllm::cuda {

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

    float factors[ROW_TILES][2];
    softmax.finish(factors, log_sum_exp + (int64_t(block.b) * task.heads + block.head) * task.query_length, block,
                   warp_row, scale);
    sync_threads();  // the stages serve for the result
    write_rows<WIDTH, ROW_TILES>(shared + warp_row * TILE_STRIDE<WIDTH>, sums, factors);
    sync_threads();
    store_tile<WIDTH>(rows_at(out, first_query, column), shared, block.rows, block.inside, task);
}

}  // namespace dllm::cuda
