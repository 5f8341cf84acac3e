// Sampled tokens follow the softmax of the logits, and draws of other seeds, steps and positions are other draws.
#include "cpu/backend.h"
#include "cpu/kernels.h"
#include "op_run.h"
#include "plan_table.h"
#include "test.h"

#include <cmath>

namespace dllm {
namespace {

using namespace test;

constexpr int64_t VOCABULARY = 9;
constexpr int32_t BANNED = 4;

struct Draw {
    PhiloxKey key;
    int32_t position, step;
};

// One row of logits, drawn from once for each draw.
std::vector<uint32_t> draw(Backend& backend, const std::vector<float>& logits, const std::vector<Draw>& draws,
                           const PredictOptions& options) {
    constexpr int64_t LENGTH = 200;
    const int64_t M = int64_t(draws.size());
    reference::Matrix<float> logit_rows(M, VOCABULARY);
    for (int64_t i = 0; i < M * VOCABULARY; i++) logit_rows.data[i] = logits[i % VOCABULARY];
    std::vector<RequestPlan> plan;
    std::vector<int32_t> rows;
    for (const auto& [key, position, step] : draws) {
        rows.push_back(int32_t(int64_t(plan.size()) * LENGTH) + position);
        plan.push_back({0, 0, 0, step, key});
    }
    OpRun run(backend, Placement::tight, false);
    const Tensor x = run.input("logits", logit_rows).tensor, tokens = run.written_integers("tokens", M).tensor;
    const Predictions out{run.input("rows", rows).tensor, tokens, run.written_f32("confidence", 1, M).tensor,
                          run.written_f32("score", 1, M).tensor};
    backend.predict_tokens(out, x, plan_table(run, plan).tensor, LENGTH, options);
    return run.bits(tokens);
}

const std::vector<float> LOGITS = {1.5f, -0.5f, 0, 2, 9, 0.25f, -2, 1, 0.75f};

// Throws where the counts of 20,000 drawn tokens are not what the probabilities of the chosen ones say.
void check_draws(Backend& backend, const std::string& what, const PredictOptions& options,
                 const std::vector<int32_t>& chosen) {
    constexpr double CHI_SQUARE = 29.9;  // of 7 degrees of freedom: exceeded by chance once in ten thousand
    constexpr int64_t COUNT = 20'000;
    std::vector<Draw> draws;
    for (int32_t i = 0; i < COUNT; i++) draws.push_back({philox_key(8, uint64_t(i / 100)), i % 100, i % 3});
    std::vector<int64_t> counts(VOCABULARY);
    for (const uint32_t token : draw(backend, LOGITS, draws, options)) counts.at(token)++;
    double total = 0, chi_square = 0;
    int64_t found = 0;
    for (const int32_t v : chosen) total += std::exp(LOGITS[v] / options.temperature);
    for (const int32_t v : chosen) {
        const double expected = COUNT * std::exp(LOGITS[v] / options.temperature) / total;
        chi_square += (double(counts[v]) - expected) * (double(counts[v]) - expected) / expected;
        found += counts[v];
    }
    check_equal(found, COUNT, what + ": tokens among those to draw from");
    if (chi_square < CHI_SQUARE) return;
    throw Failure{join(what, ", temperature ", options.temperature, ": chi-square ", chi_square),
                  std::source_location::current()};
}

TEST(predicted_tokens_follow_the_softmax) {
    for (const std::string& path : usable_paths()) {
        const auto backend = make_cpu_backend(path);
        for (const float temperature : {0.5f, 1.0f, 2.0f})
            check_draws(*backend, path, {temperature, BANNED}, {0, 1, 2, 3, 5, 6, 7, 8});
    }
}

TEST(top_k_and_top_p_draw_from_the_most_probable_tokens) {
    // In the order of their logits: 3, 0, 7, 8, 5, 2, 1, 6. Their probabilities at temperature 1:
    // .375, .227, .138, .107, .065, .051, ...
    constexpr Remasking LOW = Remasking::low_confidence;
    for (const std::string& path : usable_paths()) {
        const auto backend = make_cpu_backend(path);
        check_draws(*backend, path + " top-k 1", {1, BANNED, LOW, 1}, {3});
        check_draws(*backend, path + " top-k 3", {2, BANNED, LOW, 3}, {3, 0, 7});
        check_draws(*backend, path + " top-k 100", {1, BANNED, LOW, 100}, {0, 1, 2, 3, 5, 6, 7, 8});
        check_draws(*backend, path + " top-p 0.3", {1, BANNED, LOW, 0, 0.3f}, {3});
        check_draws(*backend, path + " top-p 0.6", {1, BANNED, LOW, 0, 0.6f}, {3, 0});
        check_draws(*backend, path + " top-p 0.7", {1, BANNED, LOW, 0, 0.7f}, {3, 0, 7});
        check_draws(*backend, path + " top-p 0.7, top-k 2", {1, BANNED, LOW, 2, 0.7f}, {3, 0});
        // The nucleus is that of the temperature: at 0.5 the first two have .609 and .224.
        check_draws(*backend, path + " top-p 0.6 at 0.5", {0.5f, BANNED, LOW, 0, 0.6f}, {3});
    }
}

TEST(predicted_tokens_depend_on_every_part_of_the_draw) {
    const std::vector<float> equal(VOCABULARY, 0.0f);
    const auto backend = make_cpu_backend();
    const auto tokens_of = [&](uint64_t seed, uint64_t sample, int32_t step, int32_t position) {
        std::vector<Draw> draws;
        for (int32_t i = 0; i < 64; i++) draws.push_back({philox_key(seed, sample), position + i, step});
        return draw(*backend, equal, draws, {1, BANNED});
    };
    const auto tokens = tokens_of(1, 2, 3, 4);
    CHECK(tokens == tokens_of(1, 2, 3, 4));
    CHECK(tokens != tokens_of(2, 2, 3, 4));
    CHECK(tokens != tokens_of(1, 3, 3, 4));
    CHECK(tokens != tokens_of(1, 2, 4, 4));
    CHECK(tokens != tokens_of(1, 2, 3, 100));
}

}  // namespace
}  // namespace dllm
