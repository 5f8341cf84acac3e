// Attention backward in float32: as attention_backward_queries.h and attention_backward_keys.h, with plain
// multiply-adds.
#pragma once

#include "attention_f32_tile.h"

namespace dllm::cuda {

// dq, dout, q (B Tq, H D)   k, v (B Tk, G D)   statistics: see attention_statistics.h
template <int WIDTH>
__global__ void __launch_bounds__(ATTENTION_THREADS, F32_RESIDENT_BLOCKS<WIDTH>)
    attention_f32_backward_queries_kernel(Rows<float> dq, Rows<const float> dout, Rows<const float> q,
                                          Rows<const float> k, Rows<const float> v, const float2* statistics,
                                          AttentionTask task) {
    auto* queries = shared_memory<float>();
    float *gradients = queries + F32_TILE<WIDTH>, *keys = gradients + F32_TILE<WIDTH>;
    float *values = keys + F32_TILE<WIDTH>, *dscores = values + F32_TILE<WIDTH>;
    const RowBlock block = query_block(task, F32_ROWS);
    const KeyTiles tiles(task, block);
    const int64_t first_query = int64_t(block.b) * task.query_length + block.first;
    const unsigned width = unsigned(task.width), column = block.head * width;
    const unsigned key_column = block.head / unsigned(task.group) * width;
    load_tile<WIDTH>(queries, rows_at(q, first_query, column), block.inside, task.width);
    load_tile<WIDTH>(gradients, rows_at(dout, first_query, column), block.inside, task.width);
    const float2* of_block = statistics + statistics_row(task, block.b, block.head) + block.first;

    F32Sums<WIDTH> sums = {};
    for (int tile = tiles.next(0); tile < tiles.count; tile = tiles.next(tile + 1)) {
        for (int half = 0; half < 2; half++) {
            const int kind = tiles.kind(0, tile), first = tile * MAP_TILE + half * F32_ROWS;
            const int count = block.sequence.keys - first;
            const int64_t first_key = int64_t(block.b) * task.key_length + first;
            sync_threads();  // nobody reads the keys before any more
            load_tile<WIDTH>(keys, rows_at(k, first_key, key_column), count, task.width);
            load_tile<WIDTH>(values, rows_at(v, first_key, key_column), count, task.width);
            sync_threads();
            F32Scores scores, dweights;
            dot_products<WIDTH>(scores, queries, keys);
            dot_products<WIDTH>(dweights, gradients, values);
            if (kind != TileMap::OPEN || count < F32_ROWS)
                close_keys(scores, task, kind, int(block.first) % MAP_TILE, half, count + half * F32_ROWS);
            for (int i = 0; i < 2; i++) {
                const float2 row = of_block[f32_row(i)];
                for (int j = 0; j < 4; j++)
                    scores[i][j] = expf(fmaf(scores[i][j], task.scale, -row.x)) * (dweights[i][j] - row.y);
            }
            share_scores(dscores, scores);
            add_weighted_rows<WIDTH>(sums, dscores, keys);
        }
    }
    store_sums<WIDTH>(rows_at(dq, first_query, column), sums, {task.scale, task.scale}, block.rows, block.inside,
                      task.width);
}

// dk, dv, k, v (B Tk, G D)   dout, q (B Tq, H D)
template <int WIDTH>
__global__ void __launch_bounds__(ATTENTION_THREADS, F32_RESIDENT_BLOCKS<WIDTH>)
    attention_f32_backward_keys_kernel(Rows<float> dk, Rows<float> dv, Rows<const float> dout, Rows<const float> q,
                                       Rows<const float> k, Rows<const float> v, const float2* statistics,
                                       AttentionTask task) {
    auto* queries = shared_memory<float>();
    float *gradients = queries + F32_TILE<WIDTH>, *keys = gradients + F32_TILE<WIDTH>;
    float *values = keys + F32_TILE<WIDTH>, *weights = values + F32_TILE<WIDTH>, *dscores = weights + F32_SCORES;
    const RowBlock block = key_block(task, F32_ROWS);
    const int64_t first_key = int64_t(block.b) * task.key_length + block.first;
    const unsigned key_column = block.head * unsigned(task.width);
    load_tile<WIDTH>(keys, rows_at(k, first_key, key_column), block.inside, task.width);
    load_tile<WIDTH>(values, rows_at(v, first_key, key_column), block.inside, task.width);

    F32Sums<WIDTH> key_sums = {}, value_sums = {};
    for (QueryTiles tiles(task, block); !tiles.end(); tiles.advance()) {
        for (int half = 0; half < 2; half++) {
            const int head = int(block.head) * task.group + tiles.head, first = tiles.tile * MAP_TILE + half * F32_ROWS;
            const int64_t first_query = int64_t(block.b) * task.query_length + first;
            const int count = block.sequence.queries - first, column = head * task.width;
            sync_threads();  // nobody reads the queries before any more
            load_tile<WIDTH>(queries, rows_at(q, first_query, column), count, task.width);
            load_tile<WIDTH>(gradients, rows_at(dout, first_query, column), count, task.width);
            sync_threads();
            F32Scores scores, dweights;
            dot_products<WIDTH>(scores, keys, queries);
            dot_products<WIDTH>(dweights, values, gradients);
            if (tiles.kind() != TileMap::OPEN)
                close_queries(scores, task, tiles.kind(), int(block.first) % MAP_TILE / F32_ROWS, half * F32_ROWS);
            const float2* of_tile = statistics + statistics_row(task, block.b, head) + first;
            for (int j = 0; j < 4; j++) {
                const float2 of_query = of_tile[f32_column(j)];
                for (int i = 0; i < 2; i++) {
                    scores[i][j] = expf(fmaf(scores[i][j], task.scale, -of_query.x));
                    dweights[i][j] = scores[i][j] * (dweights[i][j] - of_query.y);
                }
            }
            share_scores(weights, scores);
            share_scores(dscores, dweights);
            add_weighted_rows<WIDTH>(value_sums, weights, gradients);
            add_weighted_rows<WIDTH>(key_sums, dscores, queries);
        }
    }
    store_sums<WIDTH>(rows_at(dk, first_key, key_column), key_sums, {task.scale, task.scale}, block.rows, block.inside,
                      task.width);
    store_sums<WIDTH>(rows_at(dv, first_key, key_column), value_sums, {1, 1}, block.rows, block.inside, task.width);
}

template <int WIDTH>
constexpr size_t F32_BACKWARD_BYTES = (4 * F32_TILE<WIDTH> + 2 * F32_SCORES) * sizeof(float);

}  // namespace dllm::cuda
