// Which positions a sampling step commits.
#include "canvas.h"

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

// Commits with the given confidence of each position until done; returns the positions of each step.
std::vector<std::vector<int32_t>> run(Canvas& canvas, const std::vector<float>& confidence) {
    std::vector<std::vector<int32_t>> steps;
    while (!canvas.done()) {
        const std::vector<int32_t> positions = canvas.masked_positions();
        std::vector<float> confidences;
        for (const int32_t position : positions) confidences.push_back(confidence[size_t(position)]);
        steps.push_back(canvas.commit(std::vector<int32_t>(positions.size(), 5), confidences).positions);
    }
    return steps;
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
    Canvas canvas(masks(2, 6), config(4, 3), MODEL);
    const std::vector<float> confidence = {0, 0, 0.1f, 0.9f, 0.5f, 0.8f, 0.2f, 0.7f};
    const std::vector<std::vector<int32_t>> expected = {{3, 4}, {2}, {5, 7}, {6}};
    CHECK(run(canvas, confidence) == expected);
    CHECK(std::count(canvas.tokens().begin(), canvas.tokens().end(), MASK) == 0);
    check_equal(canvas.forward_passes(), 4, "forward passes");
}

TEST(canvas_breaks_ties_and_near_ties_by_position) {
    Canvas canvas(masks(0, 4), config(4, 4), MODEL);
    // Differences far below 2^-16 are rounding noise of a forward pass.
    const std::vector<std::vector<int32_t>> expected = {{0}, {1}, {2}, {3}};
    CHECK(run(canvas, {0.5f, 0.5f + 1e-6f, 0.5f + 2e-6f, 0.5f + 3e-6f}) == expected);
}

TEST(canvas_keeps_fixed_positions_and_skips_steps_without_work) {
    SampleRequest request = masks(0, 8);
    request.tokens = {MASK, 4, 4, 4, MASK, MASK, 4, MASK};
    Canvas canvas(request, config(4, 4), MODEL);
    // The first block has one mask for two steps: its second step commits nothing and is not run.
    const std::vector<std::vector<int32_t>> expected = {{0}, {4, 5}, {7}};
    CHECK(run(canvas, std::vector<float>(8, 0.5f)) == expected);
    check_equal(canvas.forward_passes(), 3, "forward passes");
    CHECK(canvas.tokens() == std::vector<int32_t>({5, 4, 4, 4, 5, 5, 4, 5}));
}

TEST(random_remasking_follows_the_seed_not_the_confidence) {
    auto order = [](uint64_t seed, float slope) {
        SampleRequest request = masks(0, 16);
        request.seed = seed;
        Canvas canvas(request, config(16, 16, Remasking::random), MODEL);
        std::vector<float> confidence(16);
        for (size_t i = 0; i < 16; i++) confidence[i] = 0.5f + slope * float(i);
        return run(canvas, confidence);
    };
    CHECK(order(1, 0.01f) == order(1, -0.01f));
    CHECK(order(1, 0) != order(2, 0));
}

TEST(random_remasking_is_uniform) {
    // The first of 8 positions to be committed, over many seeds: chi-square with 7 degrees of freedom.
    constexpr int RUNS = 4000;
    std::vector<double> counts(8);
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        SampleRequest request = masks(0, 8);
        request.seed = seed;
        Canvas canvas(request, config(8, 8, Remasking::random), MODEL);
        counts[size_t(canvas.commit(std::vector<int32_t>(8, 5), std::vector<float>(8, 0.5f)).positions.front())]++;
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
}
