// Which positions a sampling step commits.
#include "canvas.h"

#include "cpu/backend.h"
#include "small_model.h"
#include "test.h"

#include <algorithm>
#include <numeric>
#include <vector>

using namespace dllm;

namespace {

const ModelConfig MODEL = small_config(Naming::llada);
constexpr int32_t MASK = 18;

SampleConfig config(int64_t steps, int64_t block_length, Remasking remasking = Remasking::low_confidence) {
    return {steps, block_length, 0.0, remasking};
}

SampleRequest masks(int64_t prompt_length, int64_t length) {
    SampleRequest request{std::vector<int32_t>(static_cast<size_t>(prompt_length + length), MASK), prompt_length, 3, 0};
    std::fill_n(request.tokens.begin(), prompt_length, 1);
    return request;
}

// A canvas with its tokens, and steps that commit token 5.
class Board {
public:
    Board(SampleRequest request, const SampleConfig& sample)
        : canvas(std::move(request), sample, MODEL), tokens(canvas.tokens()), rule_(sample.commit) {}

    // One step with scores as the function of position says; returns the positions that it commits.
    template <typename Score>
    std::vector<int32_t> step(const Score& score) {
        const int64_t N = int64_t(tokens.size()), M = canvas.masks();
        RequestPlan plan = canvas.plan();
        std::vector<int32_t> rows(static_cast<size_t>(M)), predicted(rows.size(), 5), first(2), left(1);
        std::vector<int32_t> steps(tokens.size(), -1);
        std::vector<float> scores(rows.size()), confidences(tokens.size());
        const Tensor plans{&plan, 1, PLAN_COLUMNS, PLAN_COLUMNS, DType::i32};
        const auto integers = [](std::vector<int32_t>& x) {
            return Tensor{x.data(), 1, int64_t(x.size()), int64_t(x.size()), DType::i32};
        };
        backend_->masked_rows(integers(rows), integers(first), integers(tokens), plans, MASK);
        check_equal(int64_t(first[1]), M, "masked positions");
        for (size_t i = 0; i < rows.size(); i++) scores[i] = score(rows[i]);
        const Tensor score_row{scores.data(), 1, M, M};
        backend_->commit_tokens({integers(tokens), integers(steps), {confidences.data(), 1, N, N}}, integers(left),
                                {integers(rows), integers(predicted), score_row, score_row}, integers(first), plans,
                                rule_);
        canvas.advance(left[0]);
        std::vector<int32_t> committed;
        for (int32_t i = 0; i < int32_t(N); i++)
            if (steps[size_t(i)] == plan.step) committed.push_back(i);
        return committed;
    }

    // To the end, with the confidence of each position; returns the positions of each step.
    std::vector<std::vector<int32_t>> run(const std::vector<float>& confidence) {
        std::vector<std::vector<int32_t>> steps;
        while (!canvas.done()) steps.push_back(step([&](int32_t position) { return confidence[size_t(position)]; }));
        return steps;
    }

    Canvas canvas;
    std::vector<int32_t> tokens;

private:
    CommitRule rule_;
    std::unique_ptr<Backend> backend_ = make_cpu_backend();
};

// As predict_tokens draws them.
auto random_scores(const Board& board) {
    const RequestPlan plan = board.canvas.plan();
    return [plan](int32_t position) { return random_score(plan.key, uint32_t(plan.step), uint32_t(position)); };
}

}  // namespace

TEST(unmask_counts_add_up_to_all_masks_and_fall) {
    for (int64_t masks = 0; masks < 40; masks++) {
        for (int64_t steps = 1; steps < 20; steps++) {
            int64_t sum = 0;
            for (int64_t step = 0; step < steps; step++) {
                sum += unmask_count(masks, step, steps);
                if (step > 0) CHECK(unmask_count(masks, step, steps) <= unmask_count(masks, step - 1, steps));
            }
            check_equal(sum, masks, "sum of unmask counts");
        }
    }
}

TEST(canvas_commits_the_surest_positions_of_the_active_block_first) {
    Board board(masks(2, 6), config(4, 3));
    const std::vector<float> confidence = {0, 0, 0.1f, 0.9f, 0.5f, 0.8f, 0.2f, 0.7f};
    const std::vector<std::vector<int32_t>> expected = {{3, 4}, {2}, {5, 7}, {6}};
    CHECK(board.run(confidence) == expected);
    CHECK(std::count(board.tokens.begin(), board.tokens.end(), MASK) == 0);
    check_equal(board.canvas.forward_passes(), 4, "forward passes");
}

TEST(canvas_breaks_ties_and_near_ties_by_position) {
    Board board(masks(0, 4), config(4, 4));
    // Differences far below 2^-16 are rounding noise of a forward pass.
    const std::vector<std::vector<int32_t>> expected = {{0}, {1}, {2}, {3}};
    CHECK(board.run({0.5f, 0.5f + 1e-6f, 0.5f + 2e-6f, 0.5f + 3e-6f}) == expected);
}

TEST(canvas_keeps_fixed_positions_and_skips_steps_without_work) {
    SampleRequest request = masks(0, 8);
    request.tokens = {MASK, 4, 4, 4, MASK, MASK, 4, MASK};
    Board board(request, config(4, 4));
    // The first block has one mask for two steps: its second step commits nothing and is not run.
    const std::vector<std::vector<int32_t>> expected = {{0}, {4, 5}, {7}};
    CHECK(board.run(std::vector<float>(8, 0.5f)) == expected);
    check_equal(board.canvas.forward_passes(), 3, "forward passes");
    CHECK(board.tokens == std::vector<int32_t>({5, 4, 4, 4, 5, 5, 4, 5}));
}

TEST(canvas_skips_blocks_without_masks) {
    SampleRequest request = masks(1, 8);
    request.tokens = {1, 4, 4, MASK, 4, 4, 4, 4, MASK};
    for (const CommitKind kind : {CommitKind::count, CommitKind::threshold}) {
        SampleConfig sample = config(kind == CommitKind::count ? 0 : 99, 2);
        sample.commit = {kind, 0.9f};
        if (kind == CommitKind::count) sample.block_length = 8, sample.steps = 2;
        Board board(request, sample);
        const std::vector<std::vector<int32_t>> expected = {{3}, {8}};
        CHECK(board.run(std::vector<float>(9, 0.5f)) == expected);
    }
}

TEST(canvas_commits_what_reaches_the_threshold_and_at_least_one) {
    SampleConfig sample = config(0, 4);
    sample.commit = {CommitKind::threshold, 0.6f};
    Board board(masks(1, 8), sample);
    const std::vector<std::vector<int32_t>> expected = {{1, 2, 4}, {3}, {7}, {5}, {6}, {8}};
    CHECK(board.run({0, 0.9f, 0.6f, 0.59f, 0.7f, 0.4f, 0.3f, 0.5f, 0.2f}) == expected);
    check_equal(board.canvas.forward_passes(), 6, "forward passes");
}

TEST(canvas_commits_as_many_as_the_factor_allows) {
    // One; a second, third and fourth of at least 1 - 1/3, 1 - 1/4 and 1 - 1/5.
    SampleConfig sample = config(0, 4);
    sample.commit = {CommitKind::factor, 1};
    Board board(masks(0, 8), sample);
    const std::vector<std::vector<int32_t>> expected = {{1, 2, 3}, {0}, {4, 5}, {6}, {7}};
    CHECK(board.run({0.76f, 0.99f, 0.79f, 0.9f, 0.67f, 0.75f, 0.66f, 0.1f}) == expected);
}

TEST(random_remasking_follows_the_seed) {
    const auto order = [](uint64_t seed) {
        SampleRequest request = masks(0, 16);
        request.seed = seed;
        Board board(request, config(16, 16, Remasking::random));
        std::vector<std::vector<int32_t>> steps;
        while (!board.canvas.done()) steps.push_back(board.step(random_scores(board)));
        return steps;
    };
    CHECK(order(1) == order(1));
    CHECK(order(1) != order(2));
}

TEST(random_remasking_is_uniform) {
    // The first of 8 positions to be committed, over many seeds: chi-square with 7 degrees of freedom.
    constexpr int RUNS = 4000;
    std::vector<double> counts(8);
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        SampleRequest request = masks(0, 8);
        request.seed = seed;
        Board board(request, config(8, 8, Remasking::random));
        counts[size_t(board.step(random_scores(board)).front())]++;
    }
    double chi_square = 0;
    for (const double count : counts) chi_square += (count - RUNS / 8.0) * (count - RUNS / 8.0) / (RUNS / 8.0);
    CHECK(chi_square < 24.3);  // exceeded by chance once in a thousand
}

TEST(canvas_rejects_requests_that_do_not_fit) {
    auto rejects = [](const SampleRequest& request, const SampleConfig& sample, const char* text) {
        check_throws([&] { Canvas canvas(request, sample, MODEL); }, ErrorCode::config, text);
    };
    rejects(masks(2, 0), config(1, 1), "canvas");
    rejects(masks(20, 20), config(20, 20), "context");
    rejects(masks(0, 8), config(8, 3), "blockLength");
    rejects(masks(0, 8), config(3, 4), "steps");
    rejects(masks(0, 8), config(0, 8), "steps");
    rejects(masks(0, 8), config(9, 8), "steps is 9");
    SampleRequest request = masks(4, 4);
    request.tokens[1] = MASK;
    rejects(request, config(4, 4), "mask token");
    request.tokens[1] = 19;
    rejects(request, config(4, 4), "token 1 is 19");
    request.tokens[1] = -1;
    rejects(request, config(4, 4), "token 1 is -1");
    request.tokens.assign(8, 1);
    rejects(request, config(4, 4), "no mask tokens");
}
