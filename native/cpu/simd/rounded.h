// Products of operands rounded to bfloat16, for CPUs without instructions for it: packing rounds, the sums are those of
// float32.
#pragma once

#include "matmul.h"
#include "pack.h"

namespace dllm::simd {

// To the nearest of the numbers that bfloat16 has, ties to even; NaN stays NaN.
template <class Isa>
[[gnu::always_inline]] inline typename Isa::Float round_to_bfloat16(typename Isa::Float v) {
    using Uint = typename Isa::Uint;
    const Uint bits = (Uint)v;
    const Uint rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000;
    return v != v ? v : (typename Isa::Float)rounded;
}

template <class Isa>
[[gnu::always_inline]] inline void round_words(float* words, int64_t count) {
    sweep<Isa>(count,
               [&](int64_t i, auto part) { part.store(words + i, round_to_bfloat16<Isa>(part.load(words + i))); });
}

template <class Isa>
void pack_rounded_panels(float* panels, Operand b, int64_t depth, int64_t columns) {
    pack<Isa>(panels, b, depth, columns);
    round_words<Isa>(panels, packed_size<Isa>(depth, columns));
}

// Rows that are columns in memory as in float32; the others as they are, `depth` words each.
template <class Isa>
void pack_rounded_rows(float* tiles, Operand a, int64_t rows, int64_t depth, int64_t first, int64_t last) {
    if (a.column_stride != 1) {
        pack_rows<Isa>(tiles, a, rows, depth, first, last);
        // what a tile of fewer rows leaves free is never read, so it must not be rounded either
        for_each_tile<Isa>(rows, first, last, [&](int64_t tile, int64_t, int64_t tile_rows) {
            float* words = tiles + tile * depth * Isa::TILE_ROWS;
            if (tile_rows == Isa::TILE_ROWS) return round_words<Isa>(words, depth * Isa::TILE_ROWS);
            for (int64_t k = 0; k < depth; k++) round_words<Isa>(words + k * Isa::TILE_ROWS, tile_rows);
        });
        return;
    }
    for_each_tile<Isa>(rows, first, last, [&](int64_t, int64_t begin, int64_t tile_rows) {
        for (int64_t row = begin; row < begin + tile_rows; row++) {
            const float* from = a.data + row * a.row_stride;
            float* to = tiles + row * depth;
            sweep<Isa>(depth,
                       [&](int64_t k, auto part) { part.store(to + k, round_to_bfloat16<Isa>(part.load(from + k))); });
        }
    });
}

template <class Isa>
void rounded_product(const ProductBlock& block) {
    if (block.a.column_stride != 1) return product<Isa>(block);
    product_panels<Isa, SingleStep<Isa>>(block, {block.row_tiles, block.depth, 1}, 0, block.depth);
}

}  // namespace dllm::simd
