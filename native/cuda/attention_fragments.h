// The register side of a tile: operands from shared memory, products, masking, and back to bfloat16. A warp holds
// ROW_TILES times 16 rows; what a lane has of them is told in hardware/tensor_core.h (g = lane / 4, t = lane % 4).
#pragma once

#include "attention_tile.h"

namespace dllm::cuda {

// Row operands (a) of 16 DEPTH columns, and sums (d) of 8 TILES columns.
template <int ROW_TILES, int DEPTH>
using RowFragments = unsigned[ROW_TILES][DEPTH][4];
template <int ROW_TILES, int TILES>
using SumFragments = float[ROW_TILES][TILES][4];

template <int ROW_TILES, int TILES>
__device__ void clear(SumFragments<ROW_TILES, TILES>& sums) {
#pragma unroll
    for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
        for (int n = 0; n < TILES; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) sums[m][n][i] = 0;
}

// The rows of a tile as row operand.
template <int WIDTH, int ROW_TILES>
__device__ void load_rows(RowFragments<ROW_TILES, WIDTH / 16>& rows, const bfloat16* tile) {
    const int lane = int(threadIdx.x) % WARP_SIZE;
    const bfloat16* at = tile + lane % 16 * TILE_STRIDE<WIDTH> + lane / 16 * 8;
#pragma unroll
    for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
        for (int k = 0; k < WIDTH / 16; k++) ldmatrix_x4(rows[m][k], at + 16 * m * TILE_STRIDE<WIDTH> + 16 * k);
}

// Sums of two neighbouring column tiles += rows of one row tile times the columns' operands.
__device__ __forceinline__ void multiply_pair(float (&first)[4], float (&second)[4], const unsigned (&rows)[4],
                                              const unsigned (&columns)[4]) {
    const unsigned low[2] = {columns[0], columns[1]}, high[2] = {columns[2], columns[3]};
    mma_bf16_16x8x16(first, rows, low);
    mma_bf16_16x8x16(second, rows, high);
}

// sums (rows, 8 TILES) += rows (rows, WIDTH) tile^T, for the first 8 TILES rows of the tile
template <int WIDTH, int ROW_TILES, int TILES>
__device__ void add_dot_products(SumFragments<ROW_TILES, TILES>& sums, const RowFragments<ROW_TILES, WIDTH / 16>& rows,
                                 const bfloat16* tile) {
    const int lane = int(threadIdx.x) % WARP_SIZE;
    const bfloat16* at = tile + (lane / 16 * 8 + lane % 8) * TILE_STRIDE<WIDTH> + lane / 8 % 2 * 8;
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++)
#pragma unroll
        for (int n = 0; n < TILES; n += 2) {
            unsigned columns[4];
            ldmatrix_x4(columns, at + 8 * n * TILE_STRIDE<WIDTH> + 16 * k);
#pragma unroll
            for (int m = 0; m < ROW_TILES; m++) multiply_pair(sums[m][n], sums[m][n + 1], rows[m][k], columns);
        }
}

// sums (rows, WIDTH) += weights (rows, 16 DEPTH) tile, for the first 16 DEPTH rows of the tile
template <int WIDTH, int ROW_TILES, int DEPTH>
__device__ void add_weighted_rows(SumFragments<ROW_TILES, WIDTH / 8>& sums,
                                  const RowFragments<ROW_TILES, DEPTH>& weights, const bfloat16* tile) {
    const int lane = int(threadIdx.x) % WARP_SIZE;
    const bfloat16* at = tile + lane % 16 * TILE_STRIDE<WIDTH> + lane / 16 * 8;
#pragma unroll
    for (int k = 0; k < DEPTH; k++)
#pragma unroll
        for (int n = 0; n < WIDTH / 8; n += 2) {
            unsigned columns[4];
            ldmatrix_x4_trans(columns, at + 16 * k * TILE_STRIDE<WIDTH> + 8 * n);
#pragma unroll
            for (int m = 0; m < ROW_TILES; m++) multiply_pair(sums[m][n], sums[m][n + 1], weights[m][k], columns);
        }
}

// Sums, rounded, as row operand: a lane already holds what it needs.
template <int ROW_TILES, int DEPTH>
__device__ void round_to_rows(RowFragments<ROW_TILES, DEPTH>& rows, const SumFragments<ROW_TILES, 2 * DEPTH>& sums) {
#pragma unroll
    for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
        for (int k = 0; k < DEPTH; k++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float(&pair)[4] = sums[m][2 * k + i / 2];
                rows[m][k][i] = pack_bf16(pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
            }
}

// Which of a lane's scores are open, 8 bits for each column tile: bit 2 (2 m + i / 2) + i % 2 of n's is for [m][n][i].
// Few registers, since they are filled before the products.
template <int ROW_TILES, int TILES>
struct OpenScores {
    static_assert(ROW_TILES <= 2);
    unsigned words[(TILES + 3) / 4] = {};

    // Rows are queries: row first_row and column first_column of a tile of the map are the first. `keys` are inside.
    __device__ void load_keys(const AttentionTask& task, int tile, int first_row, int first_column, int keys) {
        const int lane = int(threadIdx.x) % WARP_SIZE, g = lane / 4, t = lane % 4;
#pragma unroll
        for (int i = 0; i < 2 * ROW_TILES; i++)
#pragma unroll
            for (int n = 0; n < TILES; n += 4) {
                const int column = first_column + 8 * n;
                const unsigned open = open_keys(task, tile, first_row + 8 * i + g, column / 32, keys);
                words[n / 4] |= (open >> (column % 32 + 2 * t) & 0x03030303u) << 2 * i;
            }
    }

    // Rows are keys; those that the sequence lacks count as open.
    __device__ void load_queries(const AttentionTask& task, int tile, int first_row, int first_column) {
        static_assert(ROW_TILES == 1);
        const int lane = int(threadIdx.x) % WARP_SIZE, g = lane / 4, t = lane % 4;
#pragma unroll
        for (int n = 0; n < TILES; n++)
#pragma unroll
            for (int next = 0; next < 2; next++) {
                const int query = first_column + 8 * n + 2 * t + next;
                const unsigned open = open_keys(task, tile, query, first_row / 32, MAP_TILE) >> (first_row % 32 + g);
                words[n / 4] |= ((open & 1) | (open >> 6 & 4)) << (8 * (n % 4) + next);
            }
    }

    __device__ void close_others(SumFragments<ROW_TILES, TILES>& scores) const {
#pragma unroll
        for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
            for (int n = 0; n < TILES; n++)
#pragma unroll
                for (int i = 0; i < 4; i++)
                    if ((words[n / 4] >> (8 * (n % 4) + 4 * m + i) & 1) == 0) scores[m][n][i] = -INFINITY;
    }
};

// Sums times a factor for each of the lane's rows, rounded, into a tile.
template <int WIDTH, int ROW_TILES>
__device__ void write_rows(bfloat16* tile, const SumFragments<ROW_TILES, WIDTH / 8>& sums,
                           const float (&factors)[ROW_TILES][2]) {
    const int lane = int(threadIdx.x) % WARP_SIZE;
    bfloat16* at = tile + lane / 4 * TILE_STRIDE<WIDTH> + lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < ROW_TILES; m++)
#pragma unroll
        for (int n = 0; n < WIDTH / 8; n++)
#pragma unroll
            for (int upper = 0; upper < 2; upper++) {
                auto* to = reinterpret_cast<__nv_bfloat162*>(at + (16 * m + 8 * upper) * TILE_STRIDE<WIDTH> + 8 * n);
                *to = __floats2bfloat162_rn(sums[m][n][2 * upper] * factors[m][upper],
                                            sums[m][n][2 * upper + 1] * factors[m][upper]);
            }
}

}  // namespace dllm::cuda
