// Checks of the arguments that both passes of attention share on any backend.
#pragma once

#include "attention_mask.h"
#include "config.h"
#include "op_check.h"

#include <string>

namespace dllm {

// Shapes only: what tiles and lengths hold is in the memory of the device.
inline void check_attention(const OpCheck& op, const Tensor& q, const Tensor& k, const Tensor& v,
                            const Tensor& log_sum_exp, const AttentionShape& shape, DType compute = DType::f32) {
    const int64_t B = shape.batch, H = shape.heads, G = shape.kv_heads, D = shape.head_width;
    if (D < 1 || D > MAX_HEAD_WIDTH) {
        op.broken("head_width must be from 1 to " + std::to_string(MAX_HEAD_WIDTH) + ", got " + std::to_string(D));
    }
    op.that(G >= 1 && H % G == 0, "kv_heads must divide heads");
    op.that(shape.query_offset >= 0 && shape.query_offset + shape.query_length <= shape.key_length,
            "queries must lie inside the sequence");
    op.that(shape.masks == 1 || shape.masks == B, "masks must be 1 or the batch size");
    op.shape("q", q, B * shape.query_length, H * D, compute);
    op.shape("k", k, B * shape.key_length, G * D, compute);
    op.shape("v", v, B * shape.key_length, G * D, compute);
    op.shape("log_sum_exp", log_sum_exp, B * H, shape.query_length);
    op.contiguous("log_sum_exp", log_sum_exp);
    op.shape("tiles", shape.tiles, shape.masks * shape.query_tiles(), shape.key_tiles(), DType::i32);
    op.contiguous("tiles", shape.tiles);
    if (shape.bits) {
        op.shape("bits", shape.bits, shape.bits.rows, 2 * TileMap::TILE, DType::i32);
        op.contiguous("bits", shape.bits);
    }
    op.optional_shape("lengths", shape.lengths, 1, B, DType::i32);
}

}  // namespace dllm
