// Attention backward, block by block as forward: with P the probabilities and dP = dout v^T,
//   dS = scale P (dP - delta),  delta = rowsum(dout out),  dq = dS k,  dk = dS^T q,  dv = P^T dout.
#pragma once

#include "score_block.h"

namespace dllm::simd {

// scores become P; weights, which hold dP, become dS.
template <class Isa>
[[gnu::always_inline]] inline void softmax_rows_backward(const ScoreBlock<Isa>& block, float* scores, float* weights,
                                                         const float* log_sum_exp, const float* delta) {
    using Float = typename Isa::Float;
    const Float scale = splat<Isa>(block.unit.scale);
    for (int64_t r = 0; r < block.rows; r++) {
        const bool closed = log_sum_exp[r] == MINUS_INFINITY;  // no open key
        const Float shift = splat<Isa>(closed ? MINUS_INFINITY : -log_sum_exp[r]);
        const Float mean = splat<Isa>(delta[r]);
        float* score_row = scores + r * block.stride;
        float* weight_row = weights + r * block.stride;
        block.for_each_vector(r, [&](int64_t key, auto lanes) {
            const Float exponent = Isa::fma(lanes.select(load<Isa>(score_row + key), 0), scale, shift);
            const Float probability = lanes.select(exp<Isa>(exponent), 0);
            const Float difference = lanes.select(load<Isa>(weight_row + key), 0) - mean;
            store<Isa>(score_row + key, probability);
            store<Isa>(weight_row + key, probability * difference * scale);
        });
    }
}

template <class Isa>
int64_t attention_backward_scratch(int64_t head_width, int64_t keys) {
    return 2 * packed_size<Isa>(head_width, round_up(keys, TILE)) + packed_size<Isa>(keys, head_width) +
           2 * TILE * score_stride(keys) + 2 * packed_size<Isa>(TILE, head_width);
}

[[gnu::always_inline]] static inline void clear_rows(Rows rows, int64_t begin, int64_t end, int64_t columns) {
    for (int64_t r = begin; r < end; r++) {
        __builtin_memset(rows.data + r * rows.stride, 0, size_t(columns) * sizeof(float));
    }
}

template <class Isa>
void attention_backward(const AttentionBackward& backward) {
    const AttentionUnit& unit = backward.unit;
    const int64_t width = unit.head_width, padded_keys = round_up(unit.keys, TILE);
    float* key_columns = unit.scratch;  // k^T, then v^T, k as the panels of a product
    float* value_columns = key_columns + packed_size<Isa>(width, padded_keys);
    float* key_rows = value_columns + packed_size<Isa>(width, padded_keys);
    float* query_panels = key_rows + packed_size<Isa>(unit.keys, width);
    float* dout_panels = query_panels + packed_size<Isa>(TILE, width);
    float* scores = dout_panels + packed_size<Isa>(TILE, width);
    float* weights = scores + TILE * score_stride(unit.keys);
    pack_padded<Isa>(key_columns, {unit.k.data, 1, unit.k.stride}, width, unit.keys);
    pack_padded<Isa>(value_columns, {unit.v.data, 1, unit.v.stride}, width, unit.keys);
    pack<Isa>(key_rows, {unit.k.data, unit.k.stride, 1}, unit.keys, width);
    clear_rows(backward.dk, 0, backward.key_length, width);
    clear_rows(backward.dv, 0, backward.key_length, width);

    for (int64_t head = 0; head < unit.group; head++) {
        const int64_t column = head * width;
        for (int64_t first = 0; first < unit.queries; first += TILE) {
            const int64_t rows = smaller(TILE, unit.queries - first);
            const ScoreBlock<Isa> block{unit, rows, unit.tiles + first / TILE * unit.key_tiles};
            const ConstRows q{unit.q.data + first * unit.q.stride + column, unit.q.stride};
            const ConstRows dout{backward.dout.data + first * backward.dout.stride + column, backward.dout.stride};
            const ConstRows out{backward.out.data + first * backward.out.stride + column, backward.out.stride};
            float delta[TILE];
            for (int64_t r = 0; r < rows; r++) {
                typename Isa::Float sum{};
                sweep<Isa>(width, [&](int64_t c, auto part) {
                    sum = Isa::fma(part.load(dout.data + r * dout.stride + c), part.load(out.data + r * out.stride + c), sum);
                });
                delta[r] = Isa::sum(sum);
            }
            block.multiply(scores, q, key_columns, width);
            block.multiply(weights, dout, value_columns, width);
            softmax_rows_backward<Isa>(block, scores, weights, unit.log_sum_exp + head * unit.query_length + first, delta);
            pack<Isa>(query_panels, {q.data, q.stride, 1}, rows, width);
            pack<Isa>(dout_panels, {dout.data, dout.stride, 1}, rows, width);
            block.combine({backward.dq.data + first * backward.dq.stride + column, backward.dq.stride}, weights, key_rows, width);
            block.scatter(backward.dk, weights, query_panels, width);
            block.scatter(backward.dv, scores, dout_panels, width);
        }
        clear_rows({backward.dq.data + column, backward.dq.stride}, unit.queries, unit.query_length, width);
    }
}

}  // namespace dllm::simd
