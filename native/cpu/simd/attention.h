// Softmax attention of one sequence and key/value head: 64 query rows at a time against all of its open key tiles.
// The score rows of a block are kept, never those of a whole sequence; backward rebuilds them from log_sum_exp.
#pragma once

#include "score_block.h"

namespace dllm::simd {

// scores become exp(scale score - scale max); their sums and scaled maxima are kept per row.
template <class Isa>
[[gnu::always_inline]] inline void softmax_rows(const ScoreBlock<Isa>& block, float* scores, float* sums, float* maxima) {
    using Float = typename Isa::Float;
    const float scale = block.unit.scale;
    for (int64_t r = 0; r < block.rows; r++) {
        float* row = scores + r * block.stride;
        Float largest = splat<Isa>(MINUS_INFINITY);
        block.for_each_vector(r, [&](int64_t key, auto lanes) {
            const Float v = lanes.select(load<Isa>(row + key), MINUS_INFINITY);
            store<Isa>(row + key, v);
            largest = larger<Isa>(v, largest);
        });
        const float maximum = scale * Isa::largest(largest);
        const float shift = maximum == MINUS_INFINITY ? 0.0f : -maximum;  // no open key: every weight is e^-inf
        Float sum{};
        block.for_each_vector(r, [&](int64_t key, auto) {
            const Float weight = exp<Isa>(Isa::fma(load<Isa>(row + key), splat<Isa>(scale), splat<Isa>(shift)));
            store<Isa>(row + key, weight);
            sum += weight;
        });
        sums[r] = Isa::sum(sum);
        maxima[r] = maximum;
    }
}

template <class Isa>
int64_t attention_forward_scratch(int64_t head_width, int64_t keys) {
    return packed_size<Isa>(head_width, round_up(keys, TILE)) + packed_size<Isa>(keys, head_width) +
           TILE * score_stride(keys);
}

template <class Isa>
void attention_forward(const AttentionForward& forward) {
    const AttentionUnit& unit = forward.unit;
    const int64_t width = unit.head_width;
    float* key_panels = unit.scratch;
    float* value_panels = key_panels + packed_size<Isa>(width, round_up(unit.keys, TILE));
    float* scores = value_panels + packed_size<Isa>(unit.keys, width);
    pack_padded<Isa>(key_panels, {unit.k.data, 1, unit.k.stride}, width, unit.keys);
    pack<Isa>(value_panels, {unit.v.data, unit.v.stride, 1}, unit.keys, width);

    const int64_t query_tiles = (unit.query_length + TILE - 1) / TILE;
    for (int64_t index = forward.first_tile; index < forward.last_tile; index++) {
        const int64_t head = index / query_tiles, tile = index % query_tiles, first = tile * TILE;
        const int64_t length = smaller(TILE, unit.query_length - first);
        const int64_t inside = unit.queries - first;
        const int64_t rows = inside < 0 ? 0 : smaller(length, inside);
        float* log_sum_exp = forward.log_sum_exp + head * unit.query_length + first;
        const Rows out{forward.out.data + first * forward.out.stride + head * width, forward.out.stride};

        alignas(64) float sums[TILE], maxima[TILE];
        if (rows > 0) {
            const ScoreBlock<Isa> block{unit, rows, unit.tiles + tile * unit.key_tiles};
            block.multiply(scores, {unit.q.data + first * unit.q.stride + head * width, unit.q.stride}, key_panels, width);
            softmax_rows<Isa>(block, scores, sums, maxima);
            block.combine(out, scores, value_panels, width);
        }
        for (int64_t r = 0; r < rows; r++) {
            float* row = out.data + r * out.stride;
            if (sums[r] == 0) {  // no open key
                __builtin_memset(row, 0, size_t(width) * sizeof(float));
                continue;
            }
            const typename Isa::Float factor = splat<Isa>(1.0f / sums[r]);
            sweep<Isa>(width, [&](int64_t c, auto part) { part.store(row + c, part.load(row + c) * factor); });
        }
        sweep<Isa>(rows, [&](int64_t r, auto part) {
            const typename Isa::Float maximum = part.load(maxima + r, MINUS_INFINITY);
            part.store(log_sum_exp + r, maximum == splat<Isa>(MINUS_INFINITY) ? maximum : maximum + log<Isa>(part.load(sums + r, 1.0f)));
        });
        for (int64_t r = rows; r < length; r++) {
            __builtin_memset(out.data + r * out.stride, 0, size_t(width) * sizeof(float));
            log_sum_exp[r] = MINUS_INFINITY;
        }
    }
}

}  // namespace dllm::simd
