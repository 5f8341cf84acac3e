// Softmax attention of one sequence and key/value head: a few query rows at a time against all of their open key tiles.
// Only the score rows of that block are kept, never those of a whole sequence.
#pragma once

#include "attention_tile.h"

namespace dllm::simd {

// Query rows of a block: their scores stay in the first-level cache up to some 400 keys.
template <class Isa>
constexpr int64_t BLOCK_ROWS = 4 * Isa::TILE_ROWS;

// Sixteen floats of padding: a power of two between rows would put a column of scores into few cache sets.
[[gnu::always_inline]] static inline int64_t score_stride(int64_t keys) { return round_up(keys, TILE) + 16; }

// A row of scores becomes exp(scale score - maximum); the maximum is that of the scaled scores, minus infinity where no
// key is open.
template <class Isa>
[[gnu::always_inline]] inline void softmax_row(float* row, const KeyTiles& keys, int64_t r, float scale, float& sum,
                                               float& maximum) {
    using Float = typename Isa::Float;
    Float largest = splat<Isa>(MINUS_INFINITY);
    for (int64_t tile = 0; tile < keys.count(); tile++) {
        if (keys.closed(tile)) continue;
        for_each_vector<Isa>(keys, tile, r, [&](int64_t key, auto lanes) {
            largest = Isa::larger(lanes.select(load<Isa>(row + tile * TILE + key), MINUS_INFINITY), largest);
        });
    }
    maximum = scale * Isa::largest(largest);
    const Float shift = splat<Isa>(maximum == MINUS_INFINITY ? 0.0f : -maximum);
    Float total{};
    for (int64_t tile = 0; tile < keys.count(); tile++) {
        if (keys.closed(tile)) continue;
        for_each_vector<Isa>(keys, tile, r, [&](int64_t key, auto lanes) {
            float* at = row + tile * TILE + key;
            const Float weight = lanes.select(exp<Isa>(Isa::fma(load<Isa>(at), splat<Isa>(scale), shift)), 0);
            store<Isa>(at, weight);
            total += weight;
        });
    }
    sum = Isa::sum(total);
}

template <class Isa>
int64_t attention_forward_scratch(int64_t head_width, int64_t keys) {
    return packed_size<Isa>(head_width, round_up(keys, TILE)) + packed_size<Isa>(keys, head_width) +
           BLOCK_ROWS<Isa> * score_stride(keys);
}

// out and log_sum_exp for rows [first, first + rows) of a query tile; pointers at its first row
template <class Isa>
[[gnu::always_inline]] inline void attention_block(Rows out, float* log_sum_exp, ConstRows q, const KeyTiles& keys,
                                                   int64_t first, int64_t rows, const float* key_panels,
                                                   const float* value_panels, Rows scores) {
    const int64_t width = keys.unit.head_width;
    out.data += first * out.stride;
    q.data += first * q.stride;
    clear_rows(out, 0, rows, width);
    for (int64_t tile = 0; tile < keys.count(); tile++) {
        if (keys.closed(tile)) continue;
        multiply_tile<Isa>({scores.data + tile * TILE, scores.stride}, q, key_panels + tile * TILE * width, rows,
                           width);
    }
    alignas(64) float sums[BLOCK_ROWS<Isa>], maxima[BLOCK_ROWS<Isa>];
    for (int64_t r = 0; r < rows; r++) {
        softmax_row<Isa>(scores.data + r * scores.stride, keys, first + r, keys.unit.scale, sums[r], maxima[r]);
    }
    for (int64_t tile = 0; tile < keys.count(); tile++) {
        if (keys.closed(tile)) continue;
        const int64_t begin = tile * TILE;
        while (tile + 1 < keys.count() && !keys.closed(tile + 1)) tile++;
        continue_product<Isa>(out, {scores.data + begin, scores.stride, 1}, value_panels, keys.unit.keys, begin, rows,
                              width, smaller((tile + 1) * TILE, keys.unit.keys) - begin);
    }
    for (int64_t r = 0; r < rows; r++) {
        float* row = out.data + r * out.stride;
        if (sums[r] == 0) {  // no open key
            clear_rows(out, r, r + 1, width);
            continue;
        }
        const typename Isa::Float factor = splat<Isa>(1.0f / sums[r]);
        sweep<Isa>(width, [&](int64_t c, auto part) { part.store(row + c, part.load(row + c) * factor); });
    }
    sweep<Isa>(rows, [&](int64_t r, auto part) {
        const typename Isa::Float maximum = part.load(maxima + r, MINUS_INFINITY), total = part.load(sums + r, 1.0f);
        part.store(log_sum_exp + first + r,
                   maximum == splat<Isa>(MINUS_INFINITY) ? maximum : maximum + log<Isa>(total));
    });
}

template <class Isa>
void attention_forward(const AttentionForward& forward) {
    const AttentionUnit& unit = forward.unit;
    const int64_t width = unit.head_width;
    float* key_panels = unit.scratch;
    float* value_panels = key_panels + packed_size<Isa>(width, round_up(unit.keys, TILE));
    const Rows scores{value_panels + packed_size<Isa>(unit.keys, width), score_stride(unit.keys)};
    pack_padded<Isa>(key_panels, {unit.k.data, 1, unit.k.stride}, width, unit.keys);
    pack<Isa>(value_panels, {unit.v.data, unit.v.stride, 1}, unit.keys, width);

    const int64_t query_tiles = (unit.query_length + TILE - 1) / TILE;
    for (int64_t index = forward.first_tile; index < forward.last_tile; index++) {
        const int64_t head = index / query_tiles, tile = index % query_tiles, first = tile * TILE;
        const int64_t length = smaller(TILE, unit.query_length - first);
        const int64_t inside = unit.queries > first ? smaller(length, unit.queries - first) : 0;
        float* log_sum_exp = forward.log_sum_exp + head * unit.query_length + first;
        const Rows out{forward.out.data + first * forward.out.stride + head * width, forward.out.stride};
        const ConstRows q{unit.q.data + first * unit.q.stride + head * width, unit.q.stride};
        const KeyTiles keys(unit, tile);
        for (int64_t begin = 0; begin < inside; begin += BLOCK_ROWS<Isa>) {
            attention_block<Isa>(out, log_sum_exp, q, keys, begin, smaller(BLOCK_ROWS<Isa>, inside - begin), key_panels,
                                 value_panels, scores);
        }
        clear_rows(out, inside, length, width);
        for (int64_t r = inside; r < length; r++) log_sum_exp[r] = MINUS_INFINITY;
    }
}

}  // namespace dllm::simd
