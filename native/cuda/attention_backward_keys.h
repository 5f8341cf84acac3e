// The gradients of keys and values on tensor cores. Each of a block's four warps keeps 16 keys with their values and
// both sums in registers and passes over the tiles of queries of all heads that share them. Rows are keys here, so that
// the transposed P and dS are already the operands of their products:
//   dS = P (dP - rowsum(dout out)),  dk = scale dS^T q,  dv = P^T dout
#pragma once

#include "attention_fragments.h"
#include "attention_gradients.h"

namespace dllm::cuda {

// Whether values stay in shared memory and are read again for every product, for lack of registers.
template <int WIDTH>
constexpr bool VALUES_STAY = WIDTH > 96;

template <int WIDTH>
constexpr size_t BACKWARD_KEYS_BYTES =
    (VALUES_STAY<WIDTH> ? 5 : 4) * TILE_ELEMENTS<WIDTH> * sizeof(bfloat16) + 2 * MAP_TILE * sizeof(float2);

// dk, dv, k, v (B Tk, G D)   dout, q (B Tq, H D)   statistics: see attention_statistics.h
template <int WIDTH>
__global__ void __launch_bounds__(ATTENTION_THREADS, (RESIDENT_BLOCKS<WIDTH, 1>))
    attention_backward_keys_kernel(Rows<bfloat16> dk, Rows<bfloat16> dv, Rows<const bfloat16> dout,
                                   Rows<const bfloat16> q, Rows<const bfloat16> k, Rows<const bfloat16> v,
                                   const float2* statistics, AttentionTask task) {
    constexpr int TILE = TILE_ELEMENTS<WIDTH>;
    constexpr int QUERIES = 16;                // at a time: as many as the registers allow
    auto* shared = shared_memory<bfloat16>();  // two stages of queries and gradients, perhaps the values, statistics
    bfloat16* values = shared + (VALUES_STAY<WIDTH> ? 4 : 3) * TILE;
    auto* shared_statistics = reinterpret_cast<float2*>(shared + (VALUES_STAY<WIDTH> ? 5 : 4) * TILE);
    const RowBlock block = key_block(task, MAP_TILE);
    const int64_t first_key = int64_t(block.b) * task.key_length + block.first;
    const unsigned key_column = block.head * unsigned(task.width);
    const auto load_stage = [&](int stage, const QueryTiles& at) {
        const int head = int(block.head) * task.group + at.head, first = at.tile * MAP_TILE;
        const int64_t row = int64_t(block.b) * task.query_length + first;
        const int rows = block.sequence.queries - first, column = head * task.width;
        bfloat16* tile = shared + stage * 2 * TILE;
        load_tile<WIDTH, MAP_TILE>(tile, rows_at(q, row, column), rows, task);
        load_tile<WIDTH, MAP_TILE>(tile + TILE, rows_at(dout, row, column), rows, task);
        const int thread = int(threadIdx.x);
        if (thread < MAP_TILE / 2)
            cp_async_16(shared_statistics + stage * MAP_TILE + 2 * thread,
                        statistics + statistics_row(task, block.b, head) + first + 2 * thread);
    };

    // Keys pass through the second stage, and values too if the registers have room for them.
    QueryTiles tiles(task, block);
    load_tile<WIDTH, MAP_TILE>(shared + 2 * TILE, rows_at(k, first_key, key_column), block.inside, task);
    load_tile<WIDTH, MAP_TILE>(values, rows_at(v, first_key, key_column), block.inside, task);
    if (!tiles.end()) load_stage(0, tiles);
    cp_async_commit();
    cp_async_wait<0>();
    sync_threads();
    const int warp_row = int(threadIdx.x) / WARP_SIZE * 16;
    RowFragments<1, WIDTH / 16> key_rows, value_rows;
    load_rows<WIDTH, 1>(key_rows, shared + 2 * TILE + warp_row * TILE_STRIDE<WIDTH>);
    if constexpr (!VALUES_STAY<WIDTH>) load_rows<WIDTH, 1>(value_rows, values + warp_row * TILE_STRIDE<WIDTH>);

    const float scale = task.scale * LOG2_E;
    SumFragments<1, WIDTH / 8> key_sums, value_sums;
    clear<1, WIDTH / 8>(key_sums);
    clear<1, WIDTH / 8>(value_sums);
    for (int stage = 0; !tiles.end(); stage = 1 - stage) {
        const int kind = tiles.kind();  // read beside the copies
        tiles.advance();
        cp_async_wait<0>();
        sync_threads();  // this stage is here, and nobody reads the other any more
        if (!tiles.end()) load_stage(1 - stage, tiles);
        cp_async_commit();
#pragma unroll 1
        for (int first = 0; first < MAP_TILE; first += QUERIES) {
            const bfloat16* queries = shared + stage * 2 * TILE + first * TILE_STRIDE<WIDTH>;
            const bfloat16* gradients = queries + TILE;
            OpenScores<1, QUERIES / 8> open;
            if (kind != TileMap::OPEN) open.load_queries(task, kind, warp_row, first);
            SumFragments<1, QUERIES / 8> scores, dweights;
            clear<1, QUERIES / 8>(scores);
            clear<1, QUERIES / 8>(dweights);
            add_dot_products<WIDTH, 1, QUERIES / 8>(scores, key_rows, queries);
            if constexpr (VALUES_STAY<WIDTH>) load_rows<WIDTH, 1>(value_rows, values + warp_row * TILE_STRIDE<WIDTH>);
            add_dot_products<WIDTH, 1, QUERIES / 8>(dweights, value_rows, gradients);
            if (kind != TileMap::OPEN) open.close_others(scores);
            const float2* of_columns = shared_statistics + stage * MAP_TILE + first;
            scores_to_weights<QUERIES / 8>(scores, of_columns, scale);
            weights_to_gradients<QUERIES / 8>(dweights, scores, of_columns);
            RowFragments<1, QUERIES / 16> weights, dscores;
            round_to_rows<1, QUERIES / 16>(weights, scores);
            add_weighted_rows<WIDTH, 1, QUERIES / 16>(value_sums, weights, gradients);
            round_to_rows<1, QUERIES / 16>(dscores, dweights);
            add_weighted_rows<WIDTH, 1, QUERIES / 16>(key_sums, dscores, queries);
        }
    }

    const float key_factors[1][2] = {{task.scale, task.scale}}, value_factors[1][2] = {{1, 1}};
    sync_threads();  // the stages serve for the results
    write_rows<WIDTH, 1>(shared + warp_row * TILE_STRIDE<WIDTH>, key_sums, key_factors);
    write_rows<WIDTH, 1>(shared + TILE + warp_row * TILE_STRIDE<WIDTH>, value_sums, value_factors);
    sync_threads();
    store_tile<WIDTH>(rows_at(dk, first_key, key_column), shared, block.rows, block.inside, task);
    store_tile<WIDTH>(rows_at(dv, first_key, key_column), shared + TILE, block.rows, block.inside, task);
}

}  // namespace dllm::cuda
