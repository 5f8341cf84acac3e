// Tiles of float32 rows in shared memory, and the two products that attention makes of them, with plain multiply-adds.
// A block has 32 rows of its own and passes over 32 others at a time: half a tile of the map. Thread (y, x) of 16 x 8
// has rows y and y + 16; of scores it has columns x, x + 8, x + 16, x + 24, and of wide rows columns 4x ... 4x + 3 of
// every 32.
#pragma once

#include "attention_task.h"

namespace dllm::cuda {

constexpr int F32_ROWS = 32, F32_LANES = 8;  // lanes that share a row: neighbours in a warp
// Blocks that a multiprocessor is to hold, which bounds the registers of a thread: two times 255, three times 168.
template <int WIDTH>
constexpr int F32_RESIDENT_BLOCKS = WIDTH <= 96 ? 3 : 2;
static_assert(2 * ATTENTION_THREADS == F32_ROWS * F32_LANES && MAP_TILE == 2 * F32_ROWS);

// Elements from one row to the next: an odd number of 16-byte groups, so that eight rows lie in different banks.
template <int WIDTH>
constexpr int F32_STRIDE = WIDTH + 4;
template <int WIDTH>
constexpr int F32_TILE = F32_ROWS * F32_STRIDE<WIDTH>;
constexpr int F32_SCORES = F32_TILE<F32_ROWS>;  // a tile of scores
using F32Scores = float[2][4];
template <int WIDTH>
using F32Sums = float[2][WIDTH / 32][4];

__device__ inline int f32_row(int i) { return int(threadIdx.x) / F32_LANES + 16 * i; }
__device__ inline int f32_lane() { return int(threadIdx.x) % F32_LANES; }
__device__ inline int f32_column(int j) { return f32_lane() + F32_LANES * j; }

// The first `rows` rows; what lies beyond them, and beyond the head's width, becomes zeros.
template <int WIDTH>
__device__ void load_tile(float* tile, Rows<const float> from, int rows, int width) {
    for (int index = int(threadIdx.x); index < F32_ROWS * WIDTH; index += ATTENTION_THREADS) {
        const int row = index / WIDTH, column = index % WIDTH;
        const bool inside = row < rows && column < width;
        tile[row * F32_STRIDE<WIDTH> + column] = inside ? from.row(row)[column] : 0.0f;
    }
}

// scores = a b^T
template <int WIDTH>
__device__ void dot_products(F32Scores& scores, const float* a, const float* b) {
    for (auto& row : scores)
        for (float& score : row) score = 0;
    for (int c = 0; c < WIDTH; c += 4) {
        float4 of_b[4];
        for (int j = 0; j < 4; j++)
            of_b[j] = *reinterpret_cast<const float4*>(b + f32_column(j) * F32_STRIDE<WIDTH> + c);
        for (int i = 0; i < 2; i++) {
            const float4 of_a = *reinterpret_cast<const float4*>(a + f32_row(i) * F32_STRIDE<WIDTH> + c);
            for (int j = 0; j < 4; j++) {
                float& score = scores[i][j];
                score = fmaf(of_a.x, of_b[j].x, score);
                score = fmaf(of_a.y, of_b[j].y, score);
                score = fmaf(of_a.z, of_b[j].z, score);
                score = fmaf(of_a.w, of_b[j].w, score);
            }
        }
    }
}

// Keeps a thread's scores where the other lanes of its rows, all of the same warp, find them.
__device__ inline void share_scores(float* shared, const F32Scores& scores) {
    sync_warp();  // they may still read the ones before
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++) shared[f32_row(i) * F32_STRIDE<F32_ROWS> + f32_column(j)] = scores[i][j];
    sync_warp();
}

// sums (rows, WIDTH) += scores (rows, 32) tile (32, WIDTH)
template <int WIDTH>
__device__ void add_weighted_rows(F32Sums<WIDTH>& sums, const float* scores, const float* tile) {
    for (int other = 0; other < F32_ROWS; other++) {
        for (int j = 0; j < WIDTH / 32; j++) {
            const float4 values =
                *reinterpret_cast<const float4*>(tile + other * F32_STRIDE<WIDTH> + 32 * j + 4 * f32_lane());
            for (int i = 0; i < 2; i++) {
                const float weight = scores[f32_row(i) * F32_STRIDE<F32_ROWS> + other];
                float(&sum)[4] = sums[i][j];
                sum[0] = fmaf(weight, values.x, sum[0]);
                sum[1] = fmaf(weight, values.y, sum[1]);
                sum[2] = fmaf(weight, values.z, sum[2]);
                sum[3] = fmaf(weight, values.w, sum[3]);
            }
        }
    }
}

// Writes sums times a factor for each row; of `rows` rows, those from `inside` on are zeros.
template <int WIDTH>
__device__ void store_sums(Rows<float> to, const F32Sums<WIDTH>& sums, const float (&factors)[2], int rows, int inside,
                           int width) {
    for (int i = 0; i < 2; i++) {
        const int row = f32_row(i);
        if (row >= rows) continue;
        for (int j = 0; j < WIDTH / 32; j++)
            for (int c = 0; c < 4; c++) {
                const int column = 32 * j + 4 * f32_lane() + c;
                if (column < width) to.row(row)[column] = row < inside ? sums[i][j][c] * factors[i] : 0.0f;
            }
    }
}

// Minus infinity for the closed entries of scores whose rows are queries (columns keys); `half` says which half of the
// tile's keys, first_row which of its queries.
__device__ inline void close_keys(F32Scores& scores, const AttentionTask& task, int tile, int first_row, int half,
                                  int keys) {
    for (int i = 0; i < 2; i++) {
        const unsigned open = open_keys(task, tile, first_row + f32_row(i), half, keys);
        for (int j = 0; j < 4; j++)
            if ((open >> f32_column(j) & 1) == 0) scores[i][j] = -INFINITY;
    }
}

// The same of scores whose rows are keys, in half `half` of the tile; first_column: which of its queries comes first.
__device__ inline void close_queries(F32Scores& scores, const AttentionTask& task, int tile, int half,
                                     int first_column) {
    for (int j = 0; j < 4; j++) {
        const unsigned open = open_keys(task, tile, first_column + f32_column(j), half, MAP_TILE);
        for (int i = 0; i < 2; i++)
            if ((open >> f32_row(i) & 1) == 0) scores[i][j] = -INFINITY;
    }
}

}  // namespace dllm::cuda
