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
// Shared memory of a kernel that passes over keys: two stages of two tiles.
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

// The tiles of keys and values that belong to a block of queries, and the stages in shared memory that they come to.
template <int WIDTH>
struct KeyStages {
    bfloat16* shared;
    Rows<const bfloat16> k, v;  // from the sequence's first row and the head's first column on
    int keys;                   // inside the sequence's length
    const AttentionTask& task;

    __device__ KeyStages(bfloat16* at, Rows<const bfloat16> all_k, Rows<const bfloat16> all_v, const RowBlock& block,
                         const AttentionTask& of)
        : shared(at), keys(block.sequence.keys), task(of) {
        const int64_t row = int64_t(block.b) * of.key_length;
        const unsigned column = block.head / unsigned(of.group) * unsigned(of.width);
        k = rows_at(all_k, row, column);
        v = rows_at(all_v, row, column);
    }

    __device__ bfloat16* keys_of(int stage) const { return shared + stage * 2 * TILE_ELEMENTS<WIDTH>; }
    __device__ bfloat16* values_of(int stage) const { return keys_of(stage) + TILE_ELEMENTS<WIDTH>; }

    __device__ void load(int stage, int tile) const {
        const int first = tile * MAP_TILE;
        load_tile<WIDTH, MAP_TILE>(keys_of(stage), rows_at(k, first, 0), keys - first, task);
        load_tile<WIDTH, MAP_TILE>(values_of(stage), rows_at(v, first, 0), keys - first, task);
    }
};

// Writes `rows` rows out; those from `inside` on are zeros, whatever the tile holds.
template <int WIDTH, int THREADS = ATTENTION_THREADS>
__device__ void store_tile(Rows<bfloat16> to, const bfloat16* tile, int rows, int inside, const AttentionTask& task) {
    if (task.packs) {
        constexpr int PACKS = WIDTH / PACK<bfloat16>;
        for (int index = int(threadIdx.x); index < rows * PACKS; index += THREADS) {
            const int row = index / PACKS, column = index % PACKS * PACK<bfloat16>;
            if (column >= task.width) continue;
            const uint4 values = *reinterpret_cast<const uint4*>(tile + row * TILE_STRIDE<WIDTH> + column);
            *reinterpret_cast<uint4*>(to.row(row) + column) = row < inside ? values : make_uint4(0, 0, 0, 0);
        }
    } else {
        for (int index = int(threadIdx.x); index < rows * WIDTH; index += THREADS) {
            const int row = index / WIDTH, column = index % WIDTH;
            if (column >= task.width) continue;
            to.row(row)[column] = row < inside ? tile[row * TILE_STRIDE<WIDTH> + column] : from_float<bfloat16>(0);
        }
    }
}

}  // namespace dllm::cuda
