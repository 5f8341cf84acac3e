// Attention: one unit of work is a sequence and a key/value head, forward optionally some of its query tiles.
#include "../attention_check.h"
#include "../thread_pool.h"
#include "backend.h"
#include "check.h"
#include "scratch.h"

#include <algorithm>
#include <cmath>

namespace dllm {

namespace {

constexpr int64_t UNITS_PER_THREAD = 4;  // enough for the threads to finish together

void check_shape(const OpCheck& check, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_sum_exp,
                 const AttentionShape& shape) {
    check_attention(check, q, k, v, log_sum_exp, shape);
    for (int64_t i = 0; i < shape.tiles.count(); i++) {
        const int32_t tile = shape.tiles.i32()[i];
        check.that(tile >= TileMap::OPEN && tile < shape.bits.rows, "a tile must be open, closed or a row of bits");
    }
    if (shape.lengths) check.indices("lengths", shape.lengths, shape.key_length + 1);
}

AttentionUnit unit_of(int64_t b, int64_t g, const Tensor& q, const Tensor& k, const Tensor& v,
                      const Tensor& log_sum_exp, const AttentionShape& shape) {
    const int64_t D = shape.head_width, group = shape.heads / shape.kv_heads, head = g * group;
    AttentionUnit unit{};
    unit.q = {q.f32() + b * shape.query_length * q.stride + head * D, q.stride};
    unit.k = {k.f32() + b * shape.key_length * k.stride + g * D, k.stride};
    unit.v = {v.f32() + b * shape.key_length * v.stride + g * D, v.stride};
    unit.log_sum_exp = log_sum_exp.f32() + (b * shape.heads + head) * shape.query_length;
    unit.tiles = shape.tiles.i32() + (shape.masks == 1 ? 0 : b) * shape.query_tiles() * shape.key_tiles();
    unit.bits = shape.bits.i32();
    unit.group = group;
    unit.head_width = D;
    unit.query_length = shape.query_length;
    unit.keys = shape.lengths ? shape.lengths.i32()[b] : shape.key_length;
    unit.queries = std::clamp<int64_t>(unit.keys - shape.query_offset, 0, shape.query_length);
    unit.key_tiles = shape.key_tiles();
    unit.scale = float(1.0 / std::sqrt(double(D)));
    return unit;
}

}  // namespace

void CpuBackend::attention_forward(Tensor out, Tensor log_sum_exp, Tensor q, Tensor k, Tensor v,
                                   const AttentionShape& shape) {
    const OpCheck check("attention_forward");
    check_shape(check, q, k, v, log_sum_exp, shape);
    check.shape("out", out, q.rows, q.cols);
    const int64_t G = shape.kv_heads, units = shape.batch * G;
    const int64_t tiles = shape.query_tiles() * (shape.heads / G);
    // Few sequences and heads: their query tiles are shared out too, and every part packs the keys for itself.
    const int64_t parts = units == 0 ? 1 : std::clamp<int64_t>(thread_limit() * UNITS_PER_THREAD / units, 1, tiles);
    parallel_for(units * parts, [&](int64_t index) {
        const int64_t b = index / parts / G, g = index / parts % G, part = index % parts;
        AttentionForward forward{};
        forward.unit = unit_of(b, g, q, k, v, log_sum_exp, shape);
        forward.unit.scratch =
            scratch(ScratchUse::own, kernels_.attention_forward_scratch(shape.head_width, forward.unit.keys));
        const int64_t head = g * forward.unit.group;
        forward.out = {out.f32() + b * shape.query_length * out.stride + head * shape.head_width, out.stride};
        forward.log_sum_exp = log_sum_exp.f32() + (b * shape.heads + head) * shape.query_length;
        forward.first_tile = tiles * part / parts;
        forward.last_tile = tiles * (part + 1) / parts;
        kernels_.attention_forward(forward);
    });
}

void CpuBackend::attention_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor q, Tensor k, Tensor v,
                                    Tensor out, Tensor log_sum_exp, const AttentionShape& shape) {
    const OpCheck check("attention_backward");
    check_shape(check, q, k, v, log_sum_exp, shape);
    check.shape("dq", dq, q.rows, q.cols);
    check.shape("dk", dk, k.rows, k.cols);
    check.shape("dv", dv, v.rows, v.cols);
    check.shape("dout", dout, q.rows, q.cols);
    check.shape("out", out, q.rows, q.cols);
    const int64_t G = shape.kv_heads, D = shape.head_width;
    parallel_for(shape.batch * G, [&](int64_t index) {
        const int64_t b = index / G, g = index % G;
        AttentionBackward backward{};
        backward.unit = unit_of(b, g, q, k, v, log_sum_exp, shape);
        backward.unit.scratch = scratch(ScratchUse::own, kernels_.attention_backward_scratch(D, backward.unit.keys));
        backward.key_length = shape.key_length;
        const int64_t first_query = b * shape.query_length, first_key = b * shape.key_length;
        const int64_t query_column = g * backward.unit.group * D, key_column = g * D;
        backward.dq = {dq.f32() + first_query * dq.stride + query_column, dq.stride};
        backward.dk = {dk.f32() + first_key * dk.stride + key_column, dk.stride};
        backward.dv = {dv.f32() + first_key * dv.stride + key_column, dv.stride};
        backward.dout = {dout.f32() + first_query * dout.stride + query_column, dout.stride};
        backward.out = {out.f32() + first_query * out.stride + query_column, out.stride};
        kernels_.attention_backward(backward);
    });
}

}  // namespace dllm
