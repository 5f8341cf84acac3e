// Packing operands: b into panels, PANEL_COLUMNS columns side by side, one row of the depth after the other; a into
// tiles.
#pragma once

#include "matmul.h"
#include "transpose.h"

namespace dllm::simd {

// panel (depth, width) = b (depth, columns), zeros beyond the columns
template <class Isa>
[[gnu::always_inline]] inline void pack_panel(float* panel, Operand b, int64_t depth, int64_t columns, int64_t width) {
    if (b.column_stride == 1) {
        for (int64_t k = 0; k < depth; k++) {
            const float* from = b.data + k * b.row_stride;
            float* to = panel + k * width;
            sweep<Isa>(columns, [&](int64_t c, auto part) { store<Isa>(to + c, part.load(from + c)); });
            for (int64_t c = vectors_of<Isa>(columns) * Isa::WIDTH; c < width; c += Isa::WIDTH) {
                store<Isa>(to + c, typename Isa::Float{});
            }
        }
        return;
    }
    // b's columns are rows in memory
    transpose<Isa>(panel, width, b.data, b.column_stride, depth, columns);
    for (int64_t c = columns; c < width; c++) {
        for (int64_t k = 0; k < depth; k++) panel[k * width + c] = 0.0f;
    }
}

template <class Isa>
void pack(float* panels, Operand b, int64_t depth, int64_t columns) {
    for (int64_t begin = 0; begin < columns; begin += PANEL_COLUMNS<Isa>) {
        const int64_t rest = columns - begin;
        const int64_t taken = rest < PANEL_COLUMNS<Isa> ? rest : PANEL_COLUMNS<Isa>;
        pack_panel<Isa>(panels + begin * depth, {b.data + begin * b.column_stride, b.row_stride, b.column_stride},
                        depth, taken, vectors_of<Isa>(taken) * Isa::WIDTH);
    }
}

// An operand whose rows are columns in memory (a.row_stride 1): a tile would touch one cache line a step of the depth.
template <class Isa>
void pack_rows(float* tiles, Operand a, int64_t rows, int64_t depth, int64_t first, int64_t last) {
    constexpr int64_t STEPS = 16;  // few enough for the lines of one tile to serve its neighbour
    for (int64_t start = 0; start < depth; start += STEPS) {
        const int64_t end = start + STEPS < depth ? start + STEPS : depth;
        for_each_tile<Isa>(rows, first, last, [&](int64_t tile, int64_t begin, int64_t tile_rows) {
            const float* from = a.data + begin + start * a.column_stride;
            float* to = tiles + (tile * depth + start) * Isa::TILE_ROWS;
            if (tile_rows == Isa::TILE_ROWS) {
                for (int64_t k = start; k < end; k++, from += a.column_stride, to += Isa::TILE_ROWS)
                    __builtin_memcpy(to, from, sizeof(float) * Isa::TILE_ROWS);
            } else {
                for (int64_t k = start; k < end; k++, from += a.column_stride, to += Isa::TILE_ROWS) {
                    for (int64_t r = 0; r < tile_rows; r++) to[r] = from[r];
                }
            }
        });
    }
}

// Panels of whole width only, zeros after the last column.
template <class Isa>
[[gnu::always_inline]] inline void pack_padded(float* panels, Operand b, int64_t depth, int64_t columns) {
    for (int64_t begin = 0; begin < columns; begin += PANEL_COLUMNS<Isa>) {
        const int64_t rest = columns - begin;
        pack_panel<Isa>(panels + begin * depth, {b.data + begin * b.column_stride, b.row_stride, b.column_stride},
                        depth, rest < PANEL_COLUMNS<Isa> ? rest : PANEL_COLUMNS<Isa>, PANEL_COLUMNS<Isa>);
    }
}

}  // namespace dllm::simd
