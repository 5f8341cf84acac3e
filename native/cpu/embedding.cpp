// Token and position embeddings.
#include "../thread_pool.h"
#include "backend.h"
#include "check.h"

#include <cstring>

namespace dllm {

namespace {

constexpr int64_t ROWS_PER_UNIT = 256;
constexpr int64_t COLUMNS_PER_UNIT = 32;

}  // namespace

void CpuBackend::embedding_forward(Tensor out, Tensor tokens, Tensor positions, Tensor token_table,
                                   Tensor position_table) {
    const OpCheck check("embedding_forward");
    const int64_t N = out.rows, C = out.cols;
    check.shape("tokens", tokens, 1, N, DType::i32);
    check.shape("token_table", token_table, token_table.rows, C);
    check.indices("tokens", tokens, token_table.rows);
    if (position_table) {
        check.shape("position_table", position_table, position_table.rows, C);
        check.shape("positions", positions, 1, N, DType::i32);
        check.indices("positions", positions, position_table.rows);
    }
    parallel_ranges(N, ROWS_PER_UNIT, [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; n++) {
            float* to = out.f32() + n * out.stride;
            const float* token = token_table.f32() + tokens.i32()[n] * token_table.stride;
            if (position_table) {
                kernels_.add(to, token, position_table.f32() + positions.i32()[n] * position_table.stride, C);
            } else {
                std::memcpy(to, token, size_t(C) * sizeof(float));
            }
        }
    });
}

// Threads take columns, never rows: a table row's sum has one order, and a token that fills half the batch costs no
// more.
void CpuBackend::embedding_backward(Tensor dtoken_table, Tensor dposition_table, Tensor dout, Tensor tokens,
                                    Tensor positions) {
    const OpCheck check("embedding_backward");
    const int64_t N = dout.rows, C = dout.cols;
    check.shape("tokens", tokens, 1, N, DType::i32);
    check.shape("dtoken_table", dtoken_table, dtoken_table.rows, C);
    check.indices("tokens", tokens, dtoken_table.rows);
    if (dposition_table) {
        check.shape("dposition_table", dposition_table, dposition_table.rows, C);
        check.shape("positions", positions, 1, N, DType::i32);
        check.indices("positions", positions, dposition_table.rows);
    }
    parallel_ranges(C, COLUMNS_PER_UNIT, [&](int64_t begin, int64_t end) {
        const auto add_row = [&](const Tensor& table, int64_t row, int64_t n) {
            float* to = table.f32() + row * table.stride + begin;
            kernels_.add(to, to, dout.f32() + n * dout.stride + begin, end - begin);
        };
        for (int64_t n = 0; n < N; n++) {
            add_row(dtoken_table, tokens.i32()[n], n);
            if (dposition_table) add_row(dposition_table, positions.i32()[n], n);
        }
    });
}

}  // namespace dllm
