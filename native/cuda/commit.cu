// The rows that a sampling step predicts, and which of its predictions are committed.
#include "../commit_rule.h"
#include "../sampling_check.h"
#include "backend.h"
#include "dispatch.h"
#include "reduce.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace dllm::cuda {
namespace {

constexpr int LIST_THREADS = 1024, MOST_COMMIT_THREADS = 1024;

// visit(row, whether it is masked, the votes of the warp's lanes on that) of a request's block, by all lanes of a warp.
template <class Visit>
__device__ inline void visit_block(const int32_t* tokens, const RequestPlan& request, int64_t begin_of_request,
                                   int32_t mask_token, const Visit& visit) {
    for (int64_t t = request.begin; t < request.end; t += WARP_SIZE) {
        const int64_t row = begin_of_request + t + lane_id();
        const bool masked = t + lane_id() < request.end && tokens[row] == mask_token;
        visit(row, masked, ballot(masked));
    }
}

// The running sum over the lanes of a warp, its own value included.
__device__ inline int32_t running_sum(int32_t x) {
    for (int lanes = 1; lanes < WARP_SIZE; lanes *= 2) {
        const int32_t other = shuffle(x, lane_id() < lanes ? lane_id() : lane_id() - lanes);
        if (lane_id() >= lanes) x += other;
    }
    return x;
}

// rows (M), first (B + 1) of tokens (B, length). One block: counts, sums them up, then writes.
__global__ void __launch_bounds__(LIST_THREADS)
    list_masked_rows(int32_t* rows, int32_t* first, const int32_t* tokens, const RequestPlan* plan, int64_t B,
                     int64_t length, int64_t M, int32_t mask_token) {
    constexpr int WARPS = LIST_THREADS / WARP_SIZE;
    for (int64_t b = warp_id(); b < B; b += WARPS) {
        int32_t count = 0;
        visit_block(tokens, plan[b], b * length, mask_token,
                    [&](int64_t, bool, unsigned votes) { count += __popc(votes); });
        if (lane_id() == 0) first[b + 1] = count;
    }
    sync_threads();
    if (warp_id() == 0) {
        int32_t before = 0;
        for (int64_t base = 0; base < B; base += WARP_SIZE) {
            const int64_t b = base + lane_id();
            const int32_t sum = before + running_sum(b < B ? first[b + 1] : 0);
            if (b < B) first[b + 1] = int32_t(sum < M ? sum : M);
            before = shuffle(sum, WARP_SIZE - 1);
        }
        if (lane_id() == 0) first[0] = 0;
    }
    sync_threads();
    for (int64_t b = warp_id(); b < B; b += WARPS) {
        int64_t begin = first[b];
        visit_block(tokens, plan[b], b * length, mask_token, [&](int64_t row, bool masked, unsigned votes) {
            const int64_t m = begin + __popc(votes & ((1u << lane_id()) - 1));
            if (masked && m < M) rows[m] = int32_t(row);
            begin += __popc(votes);
        });
    }
    for (int64_t m = first[B] + thread_index(); m < M; m += LIST_THREADS) rows[m] = 0;
}

struct CommitTargets {
    int32_t* tokens;
    int32_t* steps;
    float* confidences;
    int32_t* left;
};

struct CommitSources {
    const int32_t* rows;
    const int32_t* tokens;
    const float* confidence;
    const float* score;
    const int32_t* first;
    const RequestPlan* plan;
};

// One block per request. A prediction's rank is the number of those before it: as many comparisons as there are pairs,
// which for the few thousand positions of a request cost less than sorting would.
__global__ void __launch_bounds__(MOST_COMMIT_THREADS) commit(CommitTargets to, CommitSources from, CommitRule rule) {
    constexpr int32_t BEHIND_ALL = std::numeric_limits<int32_t>::min();
    int32_t* const others = shared_memory<int32_t>();  // (blockDim.x)
    const int64_t b = blockIdx.x, begin = from.first[b];
    const int32_t count = from.first[b + 1] - from.first[b], threads = int32_t(blockDim.x), own = int32_t(threadIdx.x);
    const RequestPlan& request = from.plan[b];
    int32_t left = 0;
    for (int32_t base = 0; base < count; base += threads) {
        const int32_t i = base + own;
        const int32_t score = i < count ? rounded_score(from.score[begin + i]) : 0;
        int32_t rank = 0;
        for (int32_t other_base = 0; other_base < count; other_base += threads) {
            const int32_t other = other_base + own, size = min(count - other_base, threads);
            sync_threads();  // the memory may still be read
            others[own] = other < count ? rounded_score(from.score[begin + other]) : BEHIND_ALL;
            sync_threads();
            const int32_t before = i - other_base;  // those come first among equals
            for (int32_t j = 0; j < size; j += 4) {
                const int4 four = *reinterpret_cast<const int4*>(others + j);
                rank += four.x > score - (j < before);
                rank += four.y > score - (j + 1 < before);
                rank += four.z > score - (j + 2 < before);
                rank += four.w > score - (j + 3 < before);
            }
        }
        if (i >= count) continue;
        if (is_committed(rule, rank, score, request.count)) {
            const int64_t row = from.rows[begin + i];
            to.tokens[row] = from.tokens[begin + i];
            to.steps[row] = request.step;
            to.confidences[row] = from.confidence[begin + i];
        } else {
            left++;
        }
    }
    const int32_t sum = block_sum(left, others);
    if (threadIdx.x == 0) to.left[b] = sum;
}

}  // namespace

// Powers of two, so that one recording of a step serves many of them.
int64_t CudaBackend::padded_rows(int64_t rows) const { return int64_t(std::bit_ceil(uint64_t(rows))); }

void CudaBackend::masked_rows(Tensor rows, Tensor first, Tensor tokens, Tensor plan, int32_t mask_token) {
    const SamplingCheck op("masked_rows");
    const int64_t B = plan.rows, M = rows.cols, length = B > 0 ? tokens.cols / B : 0;
    op.shape("rows", rows, 1, M, DType::i32);
    op.shape("first", first, 1, B + 1, DType::i32);
    op.shape("tokens", tokens, 1, B * length, DType::i32);
    op.plan(plan);
    check(launch(list_masked_rows, dim3(1), dim3(LIST_THREADS), 0, context_.stream(), rows.i32(), first.i32(),
                 tokens.i32(), static_cast<const RequestPlan*>(plan.data), B, length, M, mask_token),
          "masked_rows");
}

void CudaBackend::commit_tokens(const Canvases& canvases, Tensor left, const Predictions& predictions, Tensor first,
                                Tensor plan, const CommitRule& rule) {
    const SamplingCheck op("commit_tokens");
    const int64_t B = plan.rows, M = predictions.rows.cols;
    op.canvases(canvases, canvases.tokens.cols);
    op.predictions(predictions, M);
    op.shape("left", left, 1, B, DType::i32);
    op.shape("first", first, 1, B + 1, DType::i32);
    op.plan(plan);
    if (B == 0) return;
    const CommitTargets to{canvases.tokens.i32(), canvases.steps.i32(), canvases.confidences.f32(), left.i32()};
    const CommitSources from{predictions.rows.i32(),
                             predictions.tokens.i32(),
                             predictions.confidence.f32(),
                             predictions.score.f32(),
                             first.i32(),
                             static_cast<const RequestPlan*>(plan.data)};
    const int64_t wanted = int64_t(std::bit_ceil(uint64_t(std::max<int64_t>(M, 1))));
    const unsigned threads = unsigned(std::clamp<int64_t>(wanted, WARP_SIZE, MOST_COMMIT_THREADS));
    check(
        launch(commit, dim3(unsigned(B)), dim3(threads), threads * sizeof(int32_t), context_.stream(), to, from, rule),
        "commit_tokens");
}

}  // namespace dllm::cuda
