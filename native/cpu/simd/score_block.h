// A block of attention scores: up to 64 query rows against all keys of a sequence, closed tiles left out.
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

[[gnu::always_inline]] static inline int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// Sixteen floats of padding: a power of two between rows would put a column of scores into few cache sets.
[[gnu::always_inline]] static inline int64_t score_stride(int64_t keys) {
    return round_up(keys, TILE) + 16;
}

// Score rows [first, first + rows) of one head against the unit's keys, and what every step of both passes asks of them.
template <class Isa>
struct ScoreBlock {
    const AttentionUnit& unit;
    int64_t rows;
    const int32_t* tiles;  // of these rows
    int64_t stride = score_stride(unit.keys);

    int64_t key_tiles() const { return (unit.keys + TILE - 1) / TILE; }
    int64_t keys_of(int64_t tile) const { return smaller(TILE, unit.keys - tile * TILE); }

    // body(first key, keys) for each longest run of tiles that are not closed
    template <class Body>
    void for_each_run(const Body& body) const {
        for (int64_t tile = 0; tile < key_tiles(); tile++) {
            if (tiles[tile] == CLOSED) continue;
            const int64_t begin = tile;
            while (tile + 1 < key_tiles() && tiles[tile + 1] != CLOSED) tile++;
            body(begin * TILE, smaller((tile + 1) * TILE, unit.keys) - begin * TILE);
        }
    }

    // scores (rows, keys) = a (rows, depth) panels, in tiles that are not closed. Panels are whole, zeros after the last key.
    void multiply(float* scores, ConstRows a, const float* panels, int64_t depth) const {
        constexpr int64_t COLUMNS = PANEL_COLUMNS<Isa>;
        static_assert(TILE % COLUMNS == 0);
        for (int64_t begin = 0; begin < unit.keys; begin += COLUMNS) {
            if (tiles[begin / TILE] == CLOSED) continue;
            TileArguments arguments{};
            arguments.out = {scores + begin, stride};
            arguments.a = {a.data, a.stride, 1};
            arguments.panel = panels + begin * depth;
            arguments.depth = depth;
            product_panel<Isa>(arguments, rows, COLUMNS);
        }
    }

    // out (rows, columns) = weights (rows, keys) panels, in one chain of fma over the open runs
    void combine(Rows out, const float* weights, const float* panels, int64_t columns) const {
        constexpr int64_t COLUMNS = PANEL_COLUMNS<Isa>;
        for (int64_t begin = 0; begin < columns; begin += COLUMNS) {
            const int64_t taken = smaller(COLUMNS, columns - begin);
            bool started = false;
            for_each_run([&](int64_t first_key, int64_t keys) {
                TileArguments arguments{};
                arguments.out = {out.data + begin, out.stride};
                arguments.a = {weights + first_key, stride, 1};
                arguments.panel = panels + begin * unit.keys + first_key * vectors_of<Isa>(taken) * Isa::WIDTH;
                arguments.depth = keys;
                if (started) arguments.initial = {arguments.out.data, arguments.out.stride};
                product_panel<Isa>(arguments, rows, taken);
                started = true;
            });
            if (!started) {
                for (int64_t r = 0; r < rows; r++) {
                    __builtin_memset(out.data + r * out.stride + begin, 0, size_t(taken) * sizeof(float));
                }
            }
        }
    }

    // out (keys, columns) += weights^T (keys, rows) panels
    void scatter(Rows out, const float* weights, const float* panels, int64_t columns) const {
        constexpr int64_t COLUMNS = PANEL_COLUMNS<Isa>;
        for (int64_t begin = 0; begin < columns; begin += COLUMNS) {
            for_each_run([&](int64_t first_key, int64_t keys) {
                TileArguments arguments{};
                arguments.out = {out.data + first_key * out.stride + begin, out.stride};
                arguments.a = {weights + first_key, 1, stride};
                arguments.panel = panels + begin * rows;
                arguments.depth = rows;
                arguments.initial = {arguments.out.data, arguments.out.stride};
                product_panel<Isa>(arguments, keys, smaller(COLUMNS, columns - begin));
            });
        }
    }

    // The open entries of row r in a tile, as the tile's 64 bits; all of them in an open tile, none after the last key.
    uint64_t open_bits(int64_t tile, int64_t r) const {
        const int64_t keys = keys_of(tile);
        const uint64_t inside = keys == TILE ? ~uint64_t(0) : (uint64_t(1) << keys) - 1;
        if (tiles[tile] == OPEN) return inside;
        const int32_t* words = unit.bits + (int64_t(tiles[tile]) * TILE + r) * 2;
        return inside & (uint32_t(words[0]) | uint64_t(uint32_t(words[1])) << 32);
    }

    // body(vector of the row, which lanes are open as a mask) for every vector of the tiles that are not closed.
    // In a tile that is wholly open the mask is the constant EveryLane, so that nothing is computed for it.
    template <class Body>
    [[gnu::always_inline]] void for_each_vector(int64_t r, const Body& body) const {
        const typename Isa::Int lane = iota<Isa>();
        for (int64_t tile = 0; tile < key_tiles(); tile++) {
            if (tiles[tile] == CLOSED) continue;
            const int64_t begin = tile * TILE;
            if (tiles[tile] == OPEN && keys_of(tile) == TILE) {
                for (int64_t key = begin; key < begin + TILE; key += Isa::WIDTH) body(key, EveryLane{});
                continue;
            }
            uint64_t bits = open_bits(tile, r);
            for (int64_t key = begin; key < begin + TILE; key += Isa::WIDTH) {
                const typename Isa::Int chosen = splat_int<Isa>(int32_t(uint32_t(bits))) >> lane & 1;
                body(key, SomeLanes{chosen != 0});
                bits >>= Isa::WIDTH;
            }
        }
    }

    struct EveryLane {
        [[gnu::always_inline]] typename Isa::Float select(typename Isa::Float v, float) const { return v; }
    };
    struct SomeLanes {
        typename Isa::Int open;
        [[gnu::always_inline]] typename Isa::Float select(typename Isa::Float v, float otherwise) const {
            return open ? v : splat<Isa>(otherwise);
        }
    };
};

constexpr float MINUS_INFINITY = -__builtin_inff();

}  // namespace dllm::simd
