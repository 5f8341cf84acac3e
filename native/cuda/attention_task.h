// What every attention kernel is told, and what a block makes of it: which rows are its own, and which tiles of the map
// concern them.
#pragma once

#include "../attention_mask.h"
#include "dispatch.h"
#include "exponential.h"

#include <hardware.h>

namespace dllm::cuda {

constexpr int MAP_TILE = int(TileMap::TILE);
constexpr int ATTENTION_THREADS = 128;  // of a block: four warps

struct AttentionTask {
    int query_length, key_length, query_offset;
    int query_tiles, key_tiles;  // of the map
    int heads, group;            // group: query heads that share a key head
    int width;                   // of a head
    bool packs;                  // every row of every head is whole 16-byte groups at addresses of 16 bytes
    float scale;                 // 1 / sqrt(width)
    const int32_t* tiles;
    int tiles_per_sequence;  // 0: one map serves all
    const int32_t* bits;
    const int32_t* lengths;  // or null
};

// A sequence of the batch: how many of its keys and queries are inside its length, and its map.
struct Sequence {
    int keys, queries;
    int map;  // index of its first tile
};

__device__ inline Sequence sequence_of(const AttentionTask& task, int b) {
    const int length = task.lengths == nullptr ? task.key_length : min(max(task.lengths[b], 0), task.key_length);
    return {length, min(max(length - task.query_offset, 0), task.query_length), b * task.tiles_per_sequence};
}

// The queries or keys of one head that a block works on: rows first ... first + rows - 1 of sequence b, of which the
// first `inside` are inside its length. Unsigned, so that no register is spent on the sign of 64-bit addresses.
struct RowBlock {
    Sequence sequence;
    unsigned b, head, first;
    int rows, inside;
};

// Blocks of `size` rows, into which sequences of `length` rows with so many heads are cut: the blockIdx.x-th.
__device__ inline RowBlock row_block(const AttentionTask& task, int size, int length, int heads, bool reversed) {
    const unsigned blocks = unsigned(length + size - 1) / unsigned(size), index = blockIdx.x;
    const unsigned b = index / blocks / unsigned(heads), head = index / blocks % unsigned(heads);
    const unsigned first = (reversed ? blocks - 1 - index % blocks : index % blocks) * unsigned(size);
    return {sequence_of(task, int(b)), b, head, first, min(size, length - int(first)), 0};
}

// The last queries first: under a causal map they have the most work.
__device__ inline RowBlock query_block(const AttentionTask& task, int size) {
    RowBlock block = row_block(task, size, task.query_length, task.heads, true);
    block.inside = min(max(block.sequence.queries - int(block.first), 0), block.rows);
    return block;
}

// The first keys first, for the same reason.
__device__ inline RowBlock key_block(const AttentionTask& task, int size) {
    RowBlock block = row_block(task, size, task.key_length, task.heads / task.group, false);
    block.inside = min(max(block.sequence.keys - int(block.first), 0), block.rows);
    return block;
}

// The rows of x at this row and column.
template <class T>
__device__ Rows<T> rows_at(Rows<T> x, int64_t row, int64_t column) {
    return {x.row(row) + column, x.stride};
}

// The tiles of keys that a block of queries visits: those that any of its rows of the map does not close.
struct KeyTiles {
    const AttentionTask& task;
    int map;  // index of the first tile of the block's first row
    int rows, count;

    __device__ KeyTiles(const AttentionTask& of, const RowBlock& block)
        : task(of), map(block.sequence.map + int(block.first / MAP_TILE) * of.key_tiles),
          rows((block.inside + MAP_TILE - 1) / MAP_TILE),
          count(block.inside == 0 ? 0 : (block.sequence.keys + MAP_TILE - 1) / MAP_TILE) {}

    __device__ int kind(int row, int tile) const {
        return row < rows ? task.tiles[map + row * task.key_tiles + tile] : TileMap::CLOSED;
    }

    // The first one from this one on; count if there is none.
    __device__ int next(int tile) const {
        for (; tile < count; tile++)
            for (int row = 0; row < rows; row++)
                if (kind(row, tile) != TileMap::CLOSED) return tile;
        return tile;
    }
};

// The tiles of queries that a block of keys visits: all of one head of its group, then those of the next head.
struct QueryTiles {
    const AttentionTask& task;
    int map;  // index of the block's column in the first row of tiles
    int count;
    int head = 0, tile = 0;

    __device__ QueryTiles(const AttentionTask& of, const RowBlock& block)
        : task(of), map(block.sequence.map + int(block.first / MAP_TILE)),
          count(block.inside == 0 ? 0 : (block.sequence.queries + MAP_TILE - 1) / MAP_TILE) {
        skip_closed();
    }

    __device__ bool end() const { return head >= task.group; }
    __device__ int kind() const { return task.tiles[map + tile * task.key_tiles]; }

    __device__ void advance() {
        tile++;
        skip_closed();
    }

private:
    __device__ void skip_closed() {
        for (; head < task.group; head++, tile = 0)
            for (; tile < count; tile++)
                if (kind() != TileMap::CLOSED) return;
    }
};

// Bit j: whether key 32 half + j of a tile is open to the tile's query `row`, where the sequence has `keys` keys from
// the tile's first on.
__device__ inline unsigned open_keys(const AttentionTask& task, int tile, int row, int half, int keys) {
    const int left = keys - 32 * half;
    const unsigned inside = left >= 32 ? ~0u : left <= 0 ? 0u : (1u << left) - 1;
    return tile == TileMap::OPEN ? inside : inside & unsigned(task.bits[(int64_t(tile) * MAP_TILE + row) * 2 + half]);
}

// Where the statistics of a head's queries lie: rows padded to whole tiles, so that all of a tile can be read.
constexpr int64_t statistics_row(const AttentionTask& task, int64_t b, int64_t head) {
    return (b * task.heads + head) * task.query_tiles * MAP_TILE;
}

}  // namespace dllm::cuda
