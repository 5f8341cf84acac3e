// The gradient of the queries on tensor cores: the forward pass once more, with the probabilities P rebuilt from
// log_sum_exp. With dP = dout v^T,  dS = P (dP - rowsum(dout out)),  dq = scale dS k.
#pragma once

#include "attention_fragments.h"
#include "attention_gradients.h"

namespace dllm::cuda {

// dq, dout, q (B Tq, H D)   k, v (B Tk, G D)   statistics: see attention_statistics.h
template <int WIDTH, int ROW_TILES>
__global__ void __launch_bounds__(ATTENTION_THREADS, (RESIDENT_BLOCKS<WIDTH, ROW_TILES>))
    attention_backward_queries_kernel(Rows<bfloat16> dq, Rows<const bfloat16> dout, Rows<const bfloat16> q,
                                      Rows<const bfloat16> k, Rows<const bfloat16> v, const float2* statistics,
                                      AttentionTask task) {
    constexpr int QUERIES = MAP_TILE * ROW_TILES, WARP_ROWS = 16 * ROW_TILES;
    constexpr int KEYS = ROW_TILES == 1 && WIDTH <= 64 ? 32 : 16;  // at a time: as many as the registers allow
    auto* shared = shared_memory<bfloat16>();                      // two stages of keys and values
    const RowBlock block = query_block(task, QUERIES);
    const KeyTiles tiles(task, block);
    const int64_t first_query = int64_t(block.b) * task.query_length + block.first;
    const unsigned column = block.head * unsigned(task.width);
    const KeyStages<WIDTH> stages(shared, k, v, block, task);

    // Queries and their gradients pass through the stages.
    bfloat16* gradients = shared + ROW_TILES * TILE_ELEMENTS<WIDTH>;
    load_tile<WIDTH, QUERIES>(shared, rows_at(q, first_query, column), block.inside, task);
    load_tile<WIDTH, QUERIES>(gradients, rows_at(dout, first_query, column), block.inside, task);
    cp_async_commit();
    cp_async_wait<0>();
    sync_threads();
    const int warp_row = int(threadIdx.x) / WARP_SIZE * WARP_ROWS;
    RowFragments<ROW_TILES, WIDTH / 16> query_rows, gradient_rows;
    load_rows<WIDTH, ROW_TILES>(query_rows, shared + warp_row * TILE_STRIDE<WIDTH>);
    load_rows<WIDTH, ROW_TILES>(gradient_rows, gradients + warp_row * TILE_STRIDE<WIDTH>);
    float2 of_row[ROW_TILES][2];
    load_statistics<ROW_TILES>(of_row, statistics + statistics_row(task, block.b, block.head), block, warp_row);
    sync_threads();

    const float scale = task.scale * LOG2_E;
    const int map_row = warp_row < block.inside ? warp_row / MAP_TILE : tiles.rows;
    SumFragments<ROW_TILES, WIDTH / 8> sums;
    clear<ROW_TILES, WIDTH / 8>(sums);
    int tile = tiles.next(0), stage = 0;
    if (tile < tiles.count) stages.load(0, tile);
    cp_async_commit();
    while (tile < tiles.count) {
        const int kind = tiles.kind(map_row, tile), next = tiles.next(tile + 1);  // read beside the copies
        cp_async_wait<0>();
        sync_threads();  // this stage is here, and nobody reads the other any more
        if (next < tiles.count) stages.load(1 - stage, next);
        cp_async_commit();
        const int count = block.sequence.keys - tile * MAP_TILE;
        const bool masked = kind != TileMap::OPEN || count < MAP_TILE;
#pragma unroll 1
        for (int first = 0; first < MAP_TILE && kind != TileMap::CLOSED; first += KEYS) {
            const bfloat16* keys = stages.keys_of(stage) + first * TILE_STRIDE<WIDTH>;
            const bfloat16* values = stages.values_of(stage) + first * TILE_STRIDE<WIDTH>;
            OpenScores<ROW_TILES, KEYS / 8> open;
            if (masked) open.load_keys(task, kind, warp_row % MAP_TILE, first, count);
            SumFragments<ROW_TILES, KEYS / 8> scores, dweights;
            clear<ROW_TILES, KEYS / 8>(scores);
            clear<ROW_TILES, KEYS / 8>(dweights);
            add_dot_products<WIDTH, ROW_TILES, KEYS / 8>(scores, query_rows, keys);
            add_dot_products<WIDTH, ROW_TILES, KEYS / 8>(dweights, gradient_rows, values);
            if (masked) open.close_others(scores);
            scores_to_weights<ROW_TILES, KEYS / 8>(scores, of_row, scale);
            weights_to_gradients<ROW_TILES, KEYS / 8>(dweights, scores, of_row);
            RowFragments<ROW_TILES, KEYS / 16> dscores;
            round_to_rows<ROW_TILES, KEYS / 16>(dscores, dweights);
            add_weighted_rows<WIDTH, ROW_TILES, KEYS / 16>(sums, dscores, keys);
        }
        tile = next;
        stage = 1 - stage;
    }

    float factors[ROW_TILES][2];
#pragma unroll
    for (int m = 0; m < ROW_TILES; m++) factors[m][0] = factors[m][1] = task.scale;
    sync_threads();  // the stages serve for the result
    write_rows<WIDTH, ROW_TILES>(shared + warp_row * TILE_STRIDE<WIDTH>, sums, factors);
    sync_threads();
    store_tile<WIDTH>(rows_at(dq, first_query, column), shared, block.rows, block.inside, task);
}

}  // namespace dllm::cuda
