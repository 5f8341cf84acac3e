// Which query may attend to which key, as a map of 64 x 64 tiles: closed, open, or a reference to 64 rows of bits.
#pragma once

#include "tensor.h"

#include <cstdint>
#include <vector>

namespace dllm {

enum class AttentionKind { full, causal, annealed, block_causal, block_diffusion, explicit_mask };

struct AttentionSpec {
    AttentionKind kind = AttentionKind::full;
    double open_probability = 0;  // annealed: chance that a future entry is open
    uint64_t seed = 0;            // annealed
    uint64_t step = 0;            // annealed: one draw per step, shared by batch and heads
    int64_t block_length = 0;     // block_causal, block_diffusion
    std::vector<uint8_t> mask;    // explicit_mask: T x T, or B x T x T; 1 = may attend

    bool operator==(const AttentionSpec&) const = default;
};

struct TileMap {
    static constexpr int64_t TILE = 64;
    static constexpr int32_t CLOSED = -1;
    static constexpr int32_t OPEN = -2;

    int64_t masks = 1;  // 1: shared by the batch; B: one each
    int64_t query_tiles = 0;
    int64_t key_tiles = 0;
    std::vector<int32_t> tiles;  // [masks, query_tiles, key_tiles]: CLOSED, OPEN, or an index of a block of bits
    std::vector<uint64_t> bits;  // [blocks, TILE]: bit j of word i is set when query i of the tile may attend to key j
};

// Queries are the positions query_offset ... query_offset + query_length - 1 of a sequence of key_length positions.
// Throws ERR_CONFIG for a mask of the wrong size or a block length that does not divide the sequence.
TileMap make_tile_map(const AttentionSpec& spec, int64_t batch, int64_t query_length, int64_t key_length,
                      int64_t query_offset);

// What every attention op is told. Rows [batch * length, heads * head_width]; sequence b uses its first lengths[b]
// positions, the rest is neither read nor attended to, and its outputs and gradients are zero.
struct AttentionShape {
    int64_t batch;
    int64_t query_length;
    int64_t key_length;
    int64_t query_offset;
    int64_t heads;
    int64_t kv_heads;
    int64_t head_width;
    int64_t masks;   // as in TileMap
    Tensor tiles;    // i32 (masks * query_tiles, key_tiles), contiguous, as are bits
    Tensor bits;     // i32 (blocks, 2 * TILE): the 64-bit words, low half first; empty when no tile is partial
    Tensor lengths;  // i32 (1, batch), or null: all key_length

    int64_t query_tiles() const { return (query_length + TileMap::TILE - 1) / TileMap::TILE; }
    int64_t key_tiles() const { return (key_length + TileMap::TILE - 1) / TileMap::TILE; }
};

}  // namespace dllm
