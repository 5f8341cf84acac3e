// The rows that a sampling step predicts, and which of its predictions are committed.
#include "../commit_rule.h"
#include "../sampling_check.h"
#include "backend.h"
#include "scratch.h"

#include <algorithm>
#include <functional>
#include <span>

namespace dllm {

namespace {

// A request's predictions from the surest on: larger is earlier, the lower row among equals.
uint64_t place(float score, int64_t index) {
    return uint64_t(uint32_t(rounded_score(score)) ^ 0x80000000u) << 32 | uint32_t(~index);
}

int64_t index_of(uint64_t place) { return int64_t(uint32_t(~place)); }
int32_t score_of(uint64_t place) { return int32_t(uint32_t(place >> 32) ^ 0x80000000u); }

}  // namespace

void CpuBackend::masked_rows(Tensor rows, Tensor first, Tensor tokens, Tensor plan, int32_t mask_token) {
    const SamplingCheck check("masked_rows");
    const int64_t B = plan.rows, M = rows.cols, length = B > 0 ? tokens.cols / B : 0;
    check.shape("rows", rows, 1, M, DType::i32);
    check.shape("first", first, 1, B + 1, DType::i32);
    check.shape("tokens", tokens, 1, B * length, DType::i32);
    check.plan(plan);
    check.blocks(plan, length);
    const auto* requests = static_cast<const RequestPlan*>(plan.data);
    int64_t m = 0;
    for (int64_t b = 0; b < B; b++) {
        first.i32()[b] = int32_t(m);
        for (int64_t row = b * length + requests[b].begin; row < b * length + requests[b].end && m < M; row++) {
            rows.i32()[m] = int32_t(row);
            m += tokens.i32()[row] == mask_token;
        }
    }
    first.i32()[B] = int32_t(m);
    std::fill(rows.i32() + m, rows.i32() + M, 0);
}

void CpuBackend::commit_tokens(const Canvases& canvases, Tensor left, const Predictions& predictions, Tensor first,
                               Tensor plan, const CommitRule& rule) {
    const SamplingCheck check("commit_tokens");
    const int64_t B = plan.rows, M = predictions.rows.cols, N = canvases.tokens.cols;
    check.canvases(canvases, N);
    check.predictions(predictions, M);
    check.shape("left", left, 1, B, DType::i32);
    check.shape("first", first, 1, B + 1, DType::i32);
    check.plan(plan);
    check.indices("rows", predictions.rows, N);
    check.indices("first", first, M + 1);
    const auto* requests = static_cast<const RequestPlan*>(plan.data);
    auto* places = reinterpret_cast<uint64_t*>(scratch(ScratchUse::own, 2 * M));
    for (int64_t b = 0; b < B; b++) {
        const int64_t begin = first.i32()[b], count = first.i32()[b + 1] - begin;
        check.that(count >= 0, "first must not fall");
        for (int64_t i = 0; i < count; i++) places[i] = place(predictions.score.f32()[begin + i], i);
        const std::span<uint64_t> order(places, size_t(count));
        if (rule.kind != CommitKind::count) {
            std::sort(order.begin(), order.end(), std::greater<>());
        } else if (requests[b].count < count) {
            std::nth_element(order.begin(), order.begin() + requests[b].count, order.end(), std::greater<>());
        }
        int64_t rank = 0;
        for (; rank < count && is_committed(rule, rank, score_of(order[size_t(rank)]), requests[b].count); rank++) {
            const int64_t m = begin + index_of(order[size_t(rank)]), row = predictions.rows.i32()[m];
            canvases.tokens.i32()[row] = predictions.tokens.i32()[m];
            canvases.steps.i32()[row] = requests[b].step;
            canvases.confidences.f32()[row] = predictions.confidence.f32()[m];
        }
        left.i32()[b] = int32_t(count - rank);
    }
}

}  // namespace dllm
