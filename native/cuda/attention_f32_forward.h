// Attention forward in float32: as attention_forward.h, with plain multiply-adds.
#pragma once

#include "attention_f32_tile.h"

namespace dllm::cuda {

// q, out (B Tq, H D)   k, v (B Tk, G D)   log_sum_exp (B H, Tq)
template <int WIDTH>
__global__ void __launch_bounds__(ATTENTION_THREADS, F32_RESIDENT_BLOCKS<WIDTH>)
    attention_f32_forward_kernel(Rows<float> out, float* log_sum_exp, Rows<const float> q, Rows<const float> k,
                                 Rows<const float> v, AttentionTask task) {
    auto* queries = shared_memory<float>();
    float *keys = queries + F32_TILE<WIDTH>, *values = keys + F32_TILE<WIDTH>, *weights = values + F32_TILE<WIDTH>;
    const RowBlock block = query_block(task, F32_ROWS);
    const KeyTiles tiles(task, block);
    const int64_t first_query = int64_t(block.b) * task.query_length + block.first;
    const unsigned width = unsigned(task.width), column = block.head * width;
    const unsigned key_column = block.head / unsigned(task.group) * width;
    load_tile<WIDTH>(queries, rows_at(q, first_query, column), block.inside, task.width);

    float largest[2] = {-INFINITY, -INFINITY}, total[2] = {};
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
            F32Scores scores;
            dot_products<WIDTH>(scores, queries, keys);
            if (kind != TileMap::OPEN || count < F32_ROWS)
                close_keys(scores, task, kind, int(block.first) % MAP_TILE, half, count + half * F32_ROWS);
            for (int i = 0; i < 2; i++) {
                float now = largest[i];
                for (const float score : scores[i]) now = fmaxf(now, score);
                for (int lanes = F32_LANES / 2; lanes > 0; lanes /= 2) now = fmaxf(now, shuffle_xor(now, lanes));
                // No open key so far: any finite number makes all weights zero, and no NaN.
                const float origin = now == -INFINITY ? 0.0f : now;
                const float factor = expf((largest[i] - origin) * task.scale);
                largest[i] = now;
                total[i] *= factor;
                for (float& score : scores[i]) {
                    score = expf((score - origin) * task.scale);
                    total[i] += score;
                }
                for (auto& group : sums[i])
                    for (float& sum : group) sum *= factor;
            }
            share_scores(weights, scores);
            add_weighted_rows<WIDTH>(sums, weights, values);
        }
    }

    float factors[2];
    float* statistics = log_sum_exp + (int64_t(block.b) * task.heads + block.head) * task.query_length + block.first;
    for (int i = 0; i < 2; i++) {
        for (int lanes = F32_LANES / 2; lanes > 0; lanes /= 2) total[i] += shuffle_xor(total[i], lanes);
        factors[i] = total[i] > 0 ? 1.0f / total[i] : 0.0f;
        const int row = f32_row(i);
        const bool open = total[i] > 0 && row < block.inside;  // else as in attention_forward.h
        if (f32_lane() == 0 && row < block.rows)
            statistics[row] = open ? fmaf(largest[i], task.scale, logf(total[i])) : INFINITY;
    }
    store_sums<WIDTH>(rows_at(out, first_query, column), sums, factors, block.rows, block.inside, task.width);
}

template <int WIDTH>
constexpr size_t F32_FORWARD_BYTES = (3 * F32_TILE<WIDTH> + F32_SCORES) * sizeof(float);

}  // namespace dllm::cuda
