// Packs operands as pairs of bfloat16 along the depth, for the files that are compiled for AVX-512 with BF16.
//
// Panels of b: word by word of the depth, a row of the panel's columns. Tiles of a: row by row, each word by word of
// the depth. Both are what matrix tiles load; a word is also what the dot products broadcast. Depth is filled up with
// zeros to a multiple of DEPTH_MULTIPLE, columns and rows to one of LINES.
#pragma once

#include "../kernels.h"

#include <immintrin.h>

namespace dllm {

namespace {

constexpr int64_t LINES = 16;           // columns of b, or rows of a, packed together
constexpr int64_t DEPTH_MULTIPLE = 32;  // 16 words: one vector
constexpr int64_t ROWS_PER_TILE = 2 * LINES;

using Words = __m512i[16];

inline int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t round_up(int64_t count, int64_t multiple) { return (count + multiple - 1) / multiple * multiple; }
inline int64_t words_of(int64_t depth) { return round_up(depth, DEPTH_MULTIPLE) / 2; }

inline __mmask16 first(int64_t lanes) { return lanes >= 16 ? 0xFFFF : __mmask16((1u << lanes) - 1); }

// words[line]: pairs along the depth, which is contiguous; lines lie `stride` apart.
[[gnu::always_inline]] inline void load_along(Words& words, const float* from, int64_t stride, int64_t lines,
                                              int64_t depth) {
    const __mmask16 low = first(depth), high = depth > 16 ? first(depth - 16) : 0;
    for (int64_t line = 0; line < 16; line++) {
        if (line >= lines) {
            words[line] = _mm512_setzero_si512();
            continue;
        }
        const float* x = from + line * stride;
        words[line] = (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, x + 16), _mm512_maskz_loadu_ps(low, x));
    }
}

// words[k]: a pair of the depth of each line; lines are contiguous, steps of the depth lie `stride` apart.
[[gnu::always_inline]] inline void load_across(Words& words, const float* from, int64_t stride, int64_t lines,
                                               int64_t depth) {
    const __m512i interleaved = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                                                 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __mmask16 mask = first(lines);
    for (int64_t k = 0; k < 16; k++) {
        const __mmask16 even = 2 * k < depth ? mask : 0, odd = 2 * k + 1 < depth ? mask : 0;
        const float* x = from + 2 * k * stride;
        const __m512i halves =
            (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(odd, x + stride), _mm512_maskz_loadu_ps(even, x));
        words[k] = _mm512_permutexvar_epi16(interleaved, halves);
    }
}

// words[i][j] = words[j][i]
[[gnu::always_inline]] inline void transpose(Words& words) {
    __m512i pairs[16], quads[16];
    for (int i = 0; i < 16; i += 2) {
        pairs[i] = _mm512_unpacklo_epi32(words[i], words[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(words[i], words[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        for (int j = 0; j < 2; j++) {
            quads[i + 2 * j] = _mm512_unpacklo_epi64(pairs[i + j], pairs[i + j + 2]);
            quads[i + 2 * j + 1] = _mm512_unpackhi_epi64(pairs[i + j], pairs[i + j + 2]);
        }
    }
    // quads[4 i + j]: in each quarter q of the vector, column 4 q + j of rows 4 i ... 4 i + 3
    for (int j = 0; j < 4; j++) {
        const __m512i even01 = _mm512_shuffle_i32x4(quads[j], quads[4 + j], 0x88);
        const __m512i odd01 = _mm512_shuffle_i32x4(quads[j], quads[4 + j], 0xDD);
        const __m512i even23 = _mm512_shuffle_i32x4(quads[8 + j], quads[12 + j], 0x88);
        const __m512i odd23 = _mm512_shuffle_i32x4(quads[8 + j], quads[12 + j], 0xDD);
        words[j] = _mm512_shuffle_i32x4(even01, even23, 0x88);
        words[4 + j] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
        words[8 + j] = _mm512_shuffle_i32x4(even01, even23, 0xDD);
        words[12 + j] = _mm512_shuffle_i32x4(odd01, odd23, 0xDD);
    }
}

// Panels of PANEL columns; the last has as many whole vectors as it needs.
template <int64_t PANEL>
void pack_panels(float* panels, Operand b, int64_t depth, int64_t columns) {
    const int64_t words_of_column = words_of(depth);
    for (int64_t k = 0; k < depth; k += DEPTH_MULTIPLE) {
        for (int64_t c = 0; c < columns; c += LINES) {  // along the rows of a natural b, which is read once
            const int64_t panel = c / PANEL * PANEL, width = round_up(smaller_of(PANEL, columns - panel), LINES);
            const float* from = b.data + k * b.row_stride + c * b.column_stride;
            float* to = panels + panel * words_of_column + k / 2 * width + (c - panel);
            Words words;
            if (b.column_stride == 1) {
                load_across(words, from, b.row_stride, columns - c, depth - k);
            } else {
                load_along(words, from, b.column_stride, columns - c, depth - k);
                transpose(words);
            }
            for (int64_t i = 0; i < 16; i++) _mm512_storeu_si512(to + i * width, words[i]);
        }
    }
}

// Sixteen rows by 32 steps of the depth.
[[gnu::always_inline]] inline void pack_rows_at(float* tiles, const Operand& a, int64_t rows, int64_t depth,
                                                int64_t row, int64_t k) {
    const float* from = a.data + row * a.row_stride + k * a.column_stride;
    Words words;
    if (a.column_stride == 1) {
        load_along(words, from, a.row_stride, rows - row, depth - k);
    } else {
        load_across(words, from, a.column_stride, rows - row, depth - k);
        transpose(words);
    }
    for (int64_t i = 0; i < 16; i++) _mm512_storeu_si512(tiles + (row + i) * words_of(depth) + k / 2, words[i]);
}

void pack_rows(float* tiles, Operand a, int64_t rows, int64_t depth, int64_t first_tile, int64_t last_tile) {
    const int64_t begin = first_tile * ROWS_PER_TILE, end = smaller_of(rows, last_tile * ROWS_PER_TILE);
    if (a.column_stride == 1) {
        for (int64_t row = begin; row < end; row += LINES) {
            for (int64_t k = 0; k < depth; k += DEPTH_MULTIPLE) pack_rows_at(tiles, a, rows, depth, row, k);
        }
    } else {  // neighbouring rows share cache lines
        for (int64_t k = 0; k < depth; k += DEPTH_MULTIPLE) {
            for (int64_t row = begin; row < end; row += LINES) pack_rows_at(tiles, a, rows, depth, row, k);
        }
    }
}

}  // namespace

}  // namespace dllm
