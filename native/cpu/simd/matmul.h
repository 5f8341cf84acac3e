// The matrix product: a tile of the output stays in registers while the depth runs by, one fma an element and step.
// So an element's sum has one order whatever the tile's size, its place in it, or the number of rows.
#pragma once

#include "../kernels.h"
#include "vector.h"

namespace dllm::simd {

template <class Isa>
constexpr int64_t PANEL_COLUMNS = Isa::TILE_VECTORS * Isa::WIDTH;

constexpr int64_t DEPTH_BLOCK = 512;

template <class Isa>
[[gnu::always_inline]] inline int64_t vectors_of(int64_t columns) {
    return (columns + Isa::WIDTH - 1) / Isa::WIDTH;
}

// Floats of the packed panels of a (depth, columns) operand.
template <class Isa>
[[gnu::always_inline]] inline int64_t packed_size(int64_t depth, int64_t columns) {
    return depth * vectors_of<Isa>(columns) * Isa::WIDTH;
}

struct TileArguments {
    Rows out;
    Operand a;  // its rows lie tile_stride apart from one tile to the next where that is not 0
    int64_t tile_stride;
    const float* panel;
    int64_t depth;
    ConstRows initial;  // where the sums start; null: at zero
    ConstRows addend;   // added to the finished sums; null: nothing
    const float* bias;
    int last_lanes;  // columns of the last vector
};

// A tile's vector from a row of the output, or of what is added to it.
template <class Isa, int VECTORS, int VECTOR>
[[gnu::always_inline]] inline typename Isa::Float load_tile_vector(const float* row, int last_lanes) {
    const float* from = row + VECTOR * Isa::WIDTH;
    return VECTOR < VECTORS - 1 || last_lanes == Isa::WIDTH ? load<Isa>(from) : Part<Isa>{last_lanes}.load(from);
}

// out (ROWS, VECTORS vectors) = sums + addend + bias
template <class Isa, int ROWS, int VECTORS>
[[gnu::always_inline]] inline void finish_tile(typename Isa::Float (&sums)[ROWS][VECTORS],
                                               const TileArguments& arguments) {
    using Float = typename Isa::Float;
    if (arguments.addend.data != nullptr) {
        unroll<ROWS>([&](auto row) {
            constexpr int r = decltype(row)::value;
            const float* from = arguments.addend.data + r * arguments.addend.stride;
            unroll<VECTORS>([&](auto vector) {
                constexpr int v = decltype(vector)::value;
                sums[r][v] += load_tile_vector<Isa, VECTORS, v>(from, arguments.last_lanes);
            });
        });
    }
    if (arguments.bias != nullptr) {
        unroll<VECTORS>([&](auto vector) {
            constexpr int v = decltype(vector)::value;
            const Float bias = load_tile_vector<Isa, VECTORS, v>(arguments.bias, arguments.last_lanes);
            unroll<ROWS>([&](auto row) { sums[decltype(row)::value][v] += bias; });
        });
    }
    unroll<ROWS>([&](auto row) {
        constexpr int r = decltype(row)::value;
        float* to = arguments.out.data + r * arguments.out.stride;
        unroll<VECTORS>([&](auto vector) {
            constexpr int v = decltype(vector)::value;
            if (v < VECTORS - 1 || arguments.last_lanes == Isa::WIDTH) {
                store<Isa>(to + v * Isa::WIDTH, sums[r][v]);
            } else {
                Part<Isa>{arguments.last_lanes}.store(to + v * Isa::WIDTH, sums[r][v]);
            }
        });
    });
}

// One step of the depth in float32: a word of an operand is one number.
template <class Isa>
struct SingleStep {
    [[gnu::always_inline]] static typename Isa::Float splat(const float* word) { return simd::splat<Isa>(*word); }
    [[gnu::always_inline]] static typename Isa::Float fma(typename Isa::Float a, typename Isa::Float b,
                                                          typename Isa::Float sum) {
        return Isa::fma(a, b, sum);
    }
};

// out (ROWS, VECTORS vectors) = initial + a (ROWS, depth) panel + addend + bias
template <class Isa, class Step, int ROWS, int VECTORS>
[[gnu::noinline]] void product_tile(const TileArguments& arguments) {
    using Float = typename Isa::Float;
    constexpr int WIDTH = Isa::WIDTH;
    Float sums[ROWS][VECTORS];
    unroll<ROWS>([&](auto row) {
        constexpr int r = decltype(row)::value;
        unroll<VECTORS>([&](auto vector) { sums[r][decltype(vector)::value] = Float{}; });
    });
    if (arguments.initial.data != nullptr) {
        unroll<ROWS>([&](auto row) {
            constexpr int r = decltype(row)::value;
            const float* from = arguments.initial.data + r * arguments.initial.stride;
            unroll<VECTORS>([&](auto vector) {
                constexpr int v = decltype(vector)::value;
                sums[r][v] = load_tile_vector<Isa, VECTORS, v>(from, arguments.last_lanes);
            });
        });
    }

    const float* a = arguments.a.data;
    const float* panel = arguments.panel;
    const int64_t row_stride = arguments.a.row_stride;
    const int64_t column_stride = arguments.a.column_stride;
    for (int64_t k = 0; k < arguments.depth; k++) {
        Float b[VECTORS];
        unroll<VECTORS>([&](auto vector) {
            constexpr int v = decltype(vector)::value;
            b[v] = load<Isa>(panel + v * WIDTH);
        });
        unroll<ROWS>([&](auto row) {
            constexpr int r = decltype(row)::value;
            const Float element = Step::splat(a + r * row_stride);
            unroll<VECTORS>([&](auto vector) {
                constexpr int v = decltype(vector)::value;
                sums[r][v] = Step::fma(element, b[v], sums[r][v]);
            });
        });
        a += column_stride;
        panel += VECTORS * WIDTH;
    }

    finish_tile<Isa, ROWS, VECTORS>(sums, arguments);
}

template <class Isa, class Step, int ROWS, int VECTORS>
[[gnu::always_inline]] inline void product_tile_of(int64_t rows, int64_t vectors, const TileArguments& arguments) {
    if constexpr (ROWS > 1) {
        if (rows < ROWS) return product_tile_of<Isa, Step, ROWS - 1, VECTORS>(rows, vectors, arguments);
    }
    if constexpr (VECTORS > 1) {
        if (vectors < VECTORS) return product_tile_of<Isa, Step, ROWS, VECTORS - 1>(rows, vectors, arguments);
    }
    product_tile<Isa, Step, ROWS, VECTORS>(arguments);
}

template <class Isa>
[[gnu::always_inline]] inline int64_t tiles_of(int64_t rows) {
    return (rows + Isa::TILE_ROWS - 1) / Isa::TILE_ROWS;
}

// body(tile, first row, rows) for tiles first ... last - 1. The rows are split evenly: no tile is much smaller than the
// others.
template <class Isa, class Body>
[[gnu::always_inline]] inline void for_each_tile(int64_t rows, int64_t first, int64_t last, const Body& body) {
    const int64_t tiles = tiles_of<Isa>(rows);
    for (int64_t tile = first; tile < last; tile++) {
        const int64_t begin = rows * tile / tiles;
        body(tile, begin, rows * (tile + 1) / tiles - begin);
    }
}

// out (rows, columns) for the columns of one panel
template <class Isa, class Step = SingleStep<Isa>>
[[gnu::always_inline]] inline void product_panel(TileArguments arguments, int64_t rows, int64_t columns) {
    const int64_t vectors = vectors_of<Isa>(columns);
    arguments.last_lanes = int(columns - (vectors - 1) * Isa::WIDTH);
    const TileArguments first = arguments;
    for_each_tile<Isa>(rows, 0, tiles_of<Isa>(rows), [&](int64_t tile, int64_t begin, int64_t tile_rows) {
        arguments.out.data = first.out.data + begin * first.out.stride;
        arguments.a.data =
            first.a.data + (first.tile_stride != 0 ? tile * first.tile_stride : begin * first.a.row_stride);
        if (first.initial.data != nullptr) arguments.initial.data = first.initial.data + begin * first.initial.stride;
        if (first.addend.data != nullptr) arguments.addend.data = first.addend.data + begin * first.addend.stride;
        product_tile_of<Isa, Step, Isa::TILE_ROWS, Isa::TILE_VECTORS>(tile_rows, vectors, arguments);
    });
}

// The activation of one part of a block's output, while it is still in cache.
[[gnu::always_inline]] static inline void activate(const ProductBlock& block, int64_t row, int64_t rows, int64_t column,
                                                   int64_t columns) {
    if (block.activation == nullptr) return;
    const Rows out{block.activated.data + row * block.activated.stride + column, block.activated.stride};
    block.activation(out, {block.out.data + row * block.out.stride + column, block.out.stride}, rows, columns);
}

// Every panel of a block. a's rows lie tile_stride apart from tile to tile where that is not 0; depth counts words.
template <class Isa, class Step>
[[gnu::always_inline]] inline void product_panels(const ProductBlock& block, Operand a, int64_t tile_stride,
                                                  int64_t depth) {
    for (int64_t begin = 0; begin < block.columns; begin += PANEL_COLUMNS<Isa>) {
        const int64_t rest = block.columns - begin;
        const int64_t columns = rest < PANEL_COLUMNS<Isa> ? rest : PANEL_COLUMNS<Isa>;
        TileArguments arguments{};
        arguments.out = {block.out.data + begin, block.out.stride};
        arguments.a = a;
        arguments.tile_stride = tile_stride;
        arguments.panel = block.panels + begin * depth;
        arguments.depth = depth;
        if (block.addend.data != nullptr) arguments.addend = {block.addend.data + begin, block.addend.stride};
        if (block.bias != nullptr) arguments.bias = block.bias + begin;
        product_panel<Isa, Step>(arguments, block.rows, columns);
        activate(block, 0, block.rows, begin, columns);
    }
}

template <class Isa>
void product(const ProductBlock& block) {
    if (block.row_tiles == nullptr) return product_panels<Isa, SingleStep<Isa>>(block, block.a, 0, block.depth);
    product_panels<Isa, SingleStep<Isa>>(block, {block.row_tiles, 1, Isa::TILE_ROWS}, Isa::TILE_ROWS * block.depth,
                                         block.depth);
}

// out[c] += sum over rows of x[r][c]
template <class Isa>
void column_sums(float* out, ConstRows x, int64_t rows, int64_t columns) {
    using Float = typename Isa::Float;
    constexpr int VECTORS = 4;  // side by side, as one column of additions waits for its own results
    int64_t c = 0;
    for (; c + VECTORS * Isa::WIDTH <= columns; c += VECTORS * Isa::WIDTH) {
        Float sums[VECTORS] = {};
        for (int64_t r = 0; r < rows; r++) {
            for (int v = 0; v < VECTORS; v++) sums[v] += load<Isa>(x.data + r * x.stride + c + v * Isa::WIDTH);
        }
        for (int v = 0; v < VECTORS; v++) {
            float* to = out + c + v * Isa::WIDTH;
            store<Isa>(to, load<Isa>(to) + sums[v]);
        }
    }
    sweep<Isa>(columns - c, [&](int64_t rest, auto part) {
        Float sum{};
        for (int64_t r = 0; r < rows; r++) sum += part.load(x.data + r * x.stride + c + rest);
        part.store(out + c + rest, part.load(out + c + rest) + sum);
    });
}

}  // namespace dllm::simd
