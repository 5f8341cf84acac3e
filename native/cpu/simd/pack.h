// Packing operands: b into panels, PANEL_COLUMNS columns side by side, one row of the depth after the other; a into
// tiles.
#pragma once

#include "matmul.h"

namespace dllm::simd {

using Quad [[gnu::vector_size(16)]] = float;

// to[k][n] = from[n][k], 4 x 4
[[gnu::always_inline]] static inline void transpose_quad(float* to, int64_t to_stride, const float* from,
                                                         int64_t from_stride) {
    Quad rows[4];
    for (int n = 0; n < 4; n++) __builtin_memcpy(&rows[n], from + n * from_stride, sizeof(Quad));
    const Quad low01 = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5);
    const Quad low23 = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
    const Quad high01 = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
    const Quad high23 = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
    const Quad columns[4] = {
        __builtin_shufflevector(low01, low23, 0, 1, 4, 5), __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
        __builtin_shufflevector(high01, high23, 0, 1, 4, 5), __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
    for (int k = 0; k < 4; k++) __builtin_memcpy(to + k * to_stride, &columns[k], sizeof(Quad));
}

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
    const int64_t whole_columns = columns / 4 * 4, whole_depth = depth / 4 * 4;
    for (int64_t c = 0; c < whole_columns; c += 4) {
        const float* from = b.data + c * b.column_stride;
        for (int64_t k = 0; k < whole_depth; k += 4) {
            transpose_quad(panel + k * width + c, width, from + k * b.row_stride, b.column_stride);
        }
    }
    for (int64_t c = 0; c < columns; c++) {
        const float* from = b.data + c * b.column_stride;
        for (int64_t k = c < whole_columns ? whole_depth : 0; k < depth; k++)
            panel[k * width + c] = from[k * b.row_stride];
    }
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
