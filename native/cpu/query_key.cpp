// Norm and rotation of queries and keys.
#include "../thread_pool.h"
#include "backend.h"
#include "check.h"

namespace dllm {

namespace {

constexpr int64_t ROWS_PER_UNIT = 64;

HeadRows checked(const OpCheck& check, const Tensor& qkv, const Tensor& rstd, const Tensor& positions,
                 const Tensor& rotary_table, const HeadShape& shape) {
    const int64_t heads = shape.heads + shape.kv_heads, D = shape.head_width;
    check.shape("qkv", qkv, qkv.rows, (heads + shape.kv_heads) * D);
    if (shape.normalize) check.shape("rstd", rstd, qkv.rows, heads);
    if (shape.rotate) {
        if (D % 2 != 0) check.broken("head_width must be even to rotate, got " + std::to_string(D));
        check.shape("rotary_table", rotary_table, rotary_table.rows, D);
        check.shape("positions", positions, 1, qkv.rows, DType::i32);
        check.indices("positions", positions, rotary_table.rows);
    }
    return {heads, D, shape.normalize, shape.eps, shape.rotate ? rotary_table.f32() : nullptr, rotary_table.stride};
}

}  // namespace

void CpuBackend::query_key_forward(Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                   const HeadShape& shape) {
    const HeadRows heads = checked(OpCheck("query_key_forward"), qkv, rstd, positions, rotary_table, shape);
    if (!shape.normalize && !shape.rotate) return;
    parallel_ranges(qkv.rows, ROWS_PER_UNIT, [&](int64_t begin, int64_t end) {
        kernels_.query_key_forward(rows_of(qkv.slice_rows(begin, 0)), rows_of(rstd.slice_rows(begin, 0)),
                                   positions.i32() + begin, heads, end - begin);
    });
}

void CpuBackend::query_key_backward(Tensor dqkv, Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                    const HeadShape& shape) {
    const OpCheck check("query_key_backward");
    const HeadRows heads = checked(check, qkv, rstd, positions, rotary_table, shape);
    check.shape("dqkv", dqkv, qkv.rows, qkv.cols);
    if (!shape.normalize && !shape.rotate) return;
    parallel_ranges(qkv.rows, ROWS_PER_UNIT, [&](int64_t begin, int64_t end) {
        kernels_.query_key_backward(rows_of(dqkv.slice_rows(begin, 0)), const_rows_of(qkv.slice_rows(begin, 0)),
                                    const_rows_of(rstd.slice_rows(begin, 0)), positions.i32() + begin, heads,
                                    end - begin);
    });
}

}  // namespace dllm
