// Attention backward, a 64 x 64 tile at a time; the probabilities P are rebuilt from log_sum_exp. With dP = dout v^T,
//   dS = scale P (dP - delta),  delta = rowsum(dout out),  dq = dS k,  dk = dS^T q,  dv = P^T dout.
#pragma once

#include "attention_tile.h"

namespace dllm::simd {

constexpr int64_t TILE_STRIDE = TILE + 16;  // a power of two would put a tile's column into few cache sets

// scores become P; weights, which hold dP, become dS.
template <class Isa>
[[gnu::always_inline]] inline void softmax_tile_backward(float* scores, float* weights, const KeyTiles& keys,
                                                         int64_t tile, int64_t rows, const float* log_sum_exp,
                                                         const float* delta) {
    using Float = typename Isa::Float;
    const Float scale = splat<Isa>(keys.unit.scale);
    for (int64_t r = 0; r < rows; r++) {
        // No open key: the exponent is made minus infinity as well.
        const Float shift = splat<Isa>(log_sum_exp[r] == MINUS_INFINITY ? MINUS_INFINITY : -log_sum_exp[r]);
        const Float mean = splat<Isa>(delta[r]);
        float* score_row = scores + r * TILE_STRIDE;
        float* weight_row = weights + r * TILE_STRIDE;
        for_each_vector<Isa>(keys, tile, r, [&](int64_t key, auto lanes) {
            const Float probability = lanes.select(exp<Isa>(Isa::fma(load<Isa>(score_row + key), scale, shift)), 0);
            const Float difference = lanes.select(load<Isa>(weight_row + key), 0) - mean;
            store<Isa>(score_row + key, probability);
            store<Isa>(weight_row + key, probability * difference * scale);
        });
    }
}

template <class Isa>
int64_t attention_backward_scratch(int64_t head_width, int64_t keys) {
    return 2 * packed_size<Isa>(head_width, round_up(keys, TILE)) + packed_size<Isa>(keys, head_width) +
           2 * packed_size<Isa>(TILE, head_width) + 2 * TILE * TILE_STRIDE;
}

template <class Isa>
void attention_backward(const AttentionBackward& backward) {
    const AttentionUnit& unit = backward.unit;
    const int64_t width = unit.head_width, padded_keys = round_up(unit.keys, TILE);
    float* scores = unit.scratch;
    float* weights = scores + TILE * TILE_STRIDE;
    float* query_panels = weights + TILE * TILE_STRIDE;
    float* dout_panels = query_panels + packed_size<Isa>(TILE, width);
    float* key_rows = dout_panels + packed_size<Isa>(TILE, width);  // k, k^T and v^T as the panels of a product
    float* key_columns = key_rows + packed_size<Isa>(unit.keys, width);
    float* value_columns = key_columns + packed_size<Isa>(width, padded_keys);
    pack<Isa>(key_rows, {unit.k.data, unit.k.stride, 1}, unit.keys, width);
    pack_padded<Isa>(key_columns, {unit.k.data, 1, unit.k.stride}, width, unit.keys);
    pack_padded<Isa>(value_columns, {unit.v.data, 1, unit.v.stride}, width, unit.keys);
    clear_rows(backward.dk, 0, backward.key_length, width);
    clear_rows(backward.dv, 0, backward.key_length, width);

    for (int64_t head = 0; head < unit.group; head++) {
        const auto from = [&](ConstRows x, int64_t row) {
            return ConstRows{x.data + row * x.stride + head * width, x.stride};
        };
        const Rows all_dq{backward.dq.data + head * width, backward.dq.stride};
        clear_rows(all_dq, 0, unit.query_length, width);
        for (int64_t first = 0; first < unit.queries; first += TILE) {
            const int64_t rows = smaller(TILE, unit.queries - first);
            const ConstRows q = from(unit.q, first), dout = from(backward.dout, first), out = from(backward.out, first);
            const Rows dq{all_dq.data + first * all_dq.stride, all_dq.stride};
            const float* log_sum_exp = unit.log_sum_exp + head * unit.query_length + first;
            float delta[TILE];
            for (int64_t r = 0; r < rows; r++) {
                delta[r] = row_dot<Isa>(dout.data + r * dout.stride, out.data + r * out.stride, width);
            }
            pack<Isa>(query_panels, {q.data, q.stride, 1}, rows, width);
            pack<Isa>(dout_panels, {dout.data, dout.stride, 1}, rows, width);

            const KeyTiles keys(unit, first / TILE);
            for (int64_t tile = 0; tile < keys.count(); tile++) {
                if (keys.closed(tile)) continue;
                const int64_t first_key = tile * TILE, count = keys.keys_of(tile);
                multiply_tile<Isa>({scores, TILE_STRIDE}, q, key_columns + first_key * width, rows, width);
                multiply_tile<Isa>({weights, TILE_STRIDE}, dout, value_columns + first_key * width, rows, width);
                softmax_tile_backward<Isa>(scores, weights, keys, tile, rows, log_sum_exp, delta);
                const Rows dk{backward.dk.data + first_key * backward.dk.stride, backward.dk.stride};
                const Rows dv{backward.dv.data + first_key * backward.dv.stride, backward.dv.stride};
                continue_product<Isa>(dq, {weights, TILE_STRIDE, 1}, key_rows, unit.keys, first_key, rows, width,
                                      count);
                continue_product<Isa>(dk, {weights, 1, TILE_STRIDE}, query_panels, rows, 0, count, width, rows);
                continue_product<Isa>(dv, {scores, 1, TILE_STRIDE}, dout_panels, rows, 0, count, width, rows);
            }
        }
    }
}

}  // namespace dllm::simd
