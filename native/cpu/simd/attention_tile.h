// What both passes of attention ask of the tile map, and their three kinds of product on a tile.
#pragma once

#include "math.h"
#include "pack.h"

namespace dllm::simd {

constexpr int64_t TILE = 64;  // of the tile map
constexpr int32_t CLOSED = -1;
constexpr int32_t OPEN = -2;

[[gnu::always_inline]] static inline int64_t round_up(int64_t n, int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

[[gnu::always_inline]] static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Which entries of a tile's row are open, vector by vector. EveryLane is a type of its own, so that an open tile costs
// nothing for it.
template <class Isa>
struct EveryLane {
    [[gnu::always_inline]] typename Isa::Float select(typename Isa::Float v, float) const { return v; }
};

template <class Isa>
struct SomeLanes {
    typename Isa::Int open;
    [[gnu::always_inline]] typename Isa::Float select(typename Isa::Float v, float otherwise) const {
        return open ? v : splat<Isa>(otherwise);
    }
};

// The key tiles that one query tile of a unit sees.
struct KeyTiles {
    const AttentionUnit& unit;
    const int32_t* tiles;

    KeyTiles(const AttentionUnit& u, int64_t query_tile) : unit(u), tiles(u.tiles + query_tile * u.key_tiles) {}

    int64_t count() const { return (unit.keys + TILE - 1) / TILE; }
    int64_t keys_of(int64_t tile) const { return smaller(TILE, unit.keys - tile * TILE); }
    bool closed(int64_t tile) const { return tiles[tile] == CLOSED; }
    bool whole(int64_t tile) const { return tiles[tile] == OPEN && keys_of(tile) == TILE; }

    // The open entries of row r of the query tile, bit j for the tile's key j; none after the last key.
    uint64_t open_bits(int64_t tile, int64_t r) const {
        const int64_t keys = keys_of(tile);
        const uint64_t inside = keys == TILE ? ~uint64_t(0) : (uint64_t(1) << keys) - 1;
        if (tiles[tile] == OPEN) return inside;
        const int32_t* words = unit.bits + (int64_t(tiles[tile]) * TILE + r) * 2;
        return inside & (uint32_t(words[0]) | uint64_t(uint32_t(words[1])) << 32);
    }
};

// body(first key, lanes) for every vector of row r in a tile, keys counted from the tile's first
template <class Isa, class Body>
[[gnu::always_inline]] inline void for_each_vector(const KeyTiles& keys, int64_t tile, int64_t r, const Body& body) {
    if (keys.whole(tile)) {
        for (int64_t key = 0; key < TILE; key += Isa::WIDTH) body(key, EveryLane<Isa>{});
        return;
    }
    const typename Isa::Int lane = iota<Isa>();
    uint64_t bits = keys.open_bits(tile, r);
    for (int64_t key = 0; key < TILE; key += Isa::WIDTH) {
        body(key, SomeLanes<Isa>{(splat_int<Isa>(int32_t(uint32_t(bits))) >> lane & 1) != 0});
        bits >>= Isa::WIDTH;
    }
}

// scores (rows, TILE) = a (rows, depth) panels, for the panels of one key tile: whole ones, zeros after the last key
template <class Isa>
[[gnu::always_inline]] inline void multiply_tile(Rows scores, ConstRows a, const float* panels, int64_t rows,
                                                 int64_t depth) {
    constexpr int64_t COLUMNS = PANEL_COLUMNS<Isa>;
    static_assert(TILE % COLUMNS == 0);
    for (int64_t begin = 0; begin < TILE; begin += COLUMNS) {
        TileArguments arguments{};
        arguments.out = {scores.data + begin, scores.stride};
        arguments.a = {a.data, a.stride, 1};
        arguments.panel = panels + begin * depth;
        arguments.depth = depth;
        product_panel<Isa>(arguments, rows, COLUMNS);
    }
}

// out (rows, columns) += a (rows, depth) panels, continuing each sum where it stands: how the depth is cut into calls
// makes no difference. panels (packed_depth, columns) start at row `first`.
template <class Isa>
[[gnu::always_inline]] inline void continue_product(Rows out, Operand a, const float* panels, int64_t packed_depth,
                                                    int64_t first, int64_t rows, int64_t columns, int64_t depth) {
    constexpr int64_t COLUMNS = PANEL_COLUMNS<Isa>;
    for (int64_t begin = 0; begin < columns; begin += COLUMNS) {
        const int64_t taken = smaller(COLUMNS, columns - begin);
        TileArguments arguments{};
        arguments.out = {out.data + begin, out.stride};
        arguments.a = a;
        arguments.panel = panels + begin * packed_depth + first * vectors_of<Isa>(taken) * Isa::WIDTH;
        arguments.depth = depth;
        arguments.initial = {arguments.out.data, arguments.out.stride};
        product_panel<Isa>(arguments, rows, taken);
    }
}

[[gnu::always_inline]] static inline void clear_rows(Rows rows, int64_t begin, int64_t end, int64_t columns) {
    for (int64_t r = begin; r < end; r++) {
        __builtin_memset(rows.data + r * rows.stride, 0, size_t(columns) * sizeof(float));
    }
}

constexpr float MINUS_INFINITY = -__builtin_inff();

}  // namespace dllm::simd
