// The tiles of keys and values that belong to a block of queries, and the two stages in shared memory that they come
// to.
#pragma once

#include "tile.h"

namespace dllm::cuda::sm90a {

// Shared memory of a kernel that passes over keys: two stages of two tiles. Its result leaves through them.
template <int WIDTH>
constexpr size_t SWIZZLED_STAGES_BYTES = 4 * SWIZZLED_ELEMENTS<WIDTH> * sizeof(bfloat16);
static_assert(2 * TILE_ELEMENTS<64> <= 4 * SWIZZLED_ELEMENTS<64>);
static_assert(2 * TILE_ELEMENTS<128> <= 4 * SWIZZLED_ELEMENTS<128>);

// Blocks of so many warpgroups that a multiprocessor is to hold, which bounds the registers of a thread to 128 or 255.
template <int WIDTH, int GROUPS>
constexpr int RESIDENT_GROUPS_BLOCKS = (WIDTH <= 64 ? 4 : 2) / GROUPS;

template <int WIDTH, int THREADS>
struct SwizzledKeyStages {
    static constexpr int TILE = SWIZZLED_ELEMENTS<WIDTH>;

    bfloat16* shared;
    Rows<const bfloat16> k, v;  // from the sequence's first row and the head's first column on
    int keys;                   // inside the sequence's length
    const AttentionTask& task;

    __device__ SwizzledKeyStages(bfloat16* at, Rows<const bfloat16> all_k, Rows<const bfloat16> all_v,
                                 const RowBlock& block, const AttentionTask& of)
        : shared(at), keys(block.sequence.keys), task(of) {
        const int64_t row = int64_t(block.b) * of.key_length;
        const unsigned column = block.head / unsigned(of.group) * unsigned(of.width);
        k = rows_at(all_k, row, column);
        v = rows_at(all_v, row, column);
    }

    __device__ bfloat16* keys_of(int stage) const { return shared + stage * 2 * TILE; }
    __device__ bfloat16* values_of(int stage) const { return keys_of(stage) + TILE; }

    __device__ void load(int stage, int tile) const {
        const int first = tile * MAP_TILE;
        load_swizzled<WIDTH, THREADS>(keys_of(stage), rows_at(k, first, 0), keys - first, task);
        load_swizzled<WIDTH, THREADS>(values_of(stage), rows_at(v, first, 0), keys - first, task);
    }
};

// The rows of `x` that a block's warpgroups keep in registers, each a tile of its own, into tiles one after the other.
template <int WIDTH, int GROUPS>
__device__ void load_block_rows(bfloat16* tiles, Rows<const bfloat16> x, const RowBlock& block,
                                const AttentionTask& task) {
#pragma unroll
    for (int group = 0; group < GROUPS; group++)
        load_swizzled<WIDTH, GROUPS * ATTENTION_THREADS>(tiles + group * SWIZZLED_ELEMENTS<WIDTH>,
                                                         rows_at(x, group * MAP_TILE, 0),
                                                         block.inside - group * MAP_TILE, task);
}

}  // namespace dllm::cuda::sm90a
