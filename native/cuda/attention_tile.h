// Tiles of bfloat16 rows in shared memory: bringing them in and writing them out.
#pragma once

#include "attention_task.h"

namespace dllm::cuda {

// Elements from one row of a tile to the next: an odd number of 16-byte groups, so that the eight rows that an ldmatrix
// reads at once lie in different banks.
template <int WIDTH>
constexpr int TILE_STRIDE = WIDTH + 8;
template <int WIDTH>
constexpr int TILE_ELEMENTS = MAP_TILE * TILE_STRIDE<WIDTH>;
// Shared memory of every kernel: two stages of two tiles.
template <int WIDTH>
constexpr size_t STAGES_BYTES = 4 * TILE_ELEMENTS<WIDTH> * sizeof(bfloat16);

// Blocks that a multiprocessor is to hold, which bounds the registers of a thread: two times 255, three times 168.
template <int WIDTH, int ROW_TILES>
constexpr int RESIDENT_BLOCKS = WIDTH <= 64 && ROW_TILES == 1 ? 3 : 2;

// Starts copying the first `rows` of ROWS rows; what lies beyond them, and beyond the head's width, becomes zeros. The
// caller waits for the copies and then for the block.
template <int WIDTH, int ROWS>
__device__ void load_tile(bfloat16* tile, Rows<const bfloat16> from, int rows, const AttentionTask& task) {
    if (task.packs) {
        constexpr int LANES = WIDTH % 64 == 0 ? 8 : 4;  // threads that share a row
        constexpr int COLUMNS = LANES * PACK<bfloat16>, PASS = ATTENTION_THREADS / LANES;
        const int first = int(threadIdx.x) / LANES, lane_column = int(threadIdx.x) % LANES * PACK<bfloat16>;
        const bfloat16* source = from.data + (first * int(from.stride) + lane_column);
        bfloat16* target = tile + first * TILE_STRIDE<WIDTH> + lane_column;
#pragma unroll
        for (int i = 0; i < ROWS / PASS; i++) {
#pragma unroll
            for (int column = 0; column < WIDTH; column += COLUMNS)
                cp_async_16(target + i * PASS * TILE_STRIDE<WIDTH> + column, source + column,
                            first + i * PASS < rows && lane_column + column < task.width);
            source += int(from.stride) * PASS;
        }
    } else {
#pragma unroll 1
        for (int index = int(threadIdx.x); index < ROWS * WIDTH; index += ATTENTION_THREADS) {
            const int row = index / WIDTH, column = index % WIDTH;
            const bool inside = row < rows && column < task.width;
            tile[row * TILE_STRIDE<WIDTH> + column] = inside ? from.row(row)[column] : from_float<bfloat16>(0);
        }
    }
}

// Writes `rows` rows out; those from `inside` on are zeros, whatever the tile holds.
template <int WIDTH>
__device__ void store_tile(Rows<bfloat16> to, const bfloat16* tile, int rows, int inside, const AttentionTask& task) {
    if (task.packs) {
        constexpr int PACKS = WIDTH / PACK<bfloat16>;
        for (int index = int(threadIdx.x); index < rows * PACKS; index += ATTENTION_THREADS) {
            const int row = index / PACKS, column = index % PACKS * PACK<bfloat16>;
            if (column >= task.width) continue;
            const uint4 values = *reinterpret_cast<const uint4*>(tile + row * TILE_STRIDE<WIDTH> + column);
            *reinterpret_cast<uint4*>(to.row(row) + column) = row < inside ? values : make_uint4(0, 0, 0, 0);
        }
    } else {
        for (int index = int(threadIdx.x); index < rows * WIDTH; index += ATTENTION_THREADS) {
            const int row = index / WIDTH, column = index % WIDTH;
            if (column >= task.width) continue;
            to.row(row)[column] = row < inside ? tile[row * TILE_STRIDE<WIDTH> + column] : from_float<bfloat16>(0);
        }
    }
}

}  // namespace dllm::cuda
