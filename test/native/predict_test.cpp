// Sampled tokens follow the softmax of the logits, and draws of other seeds, steps and positions are other draws.
#include "cpu/backend.h"
#include "cpu/kernels.h"
#include "op_run.h"
#include "test.h"

#include <cmath>

namespace dllm {
namespace {

using namespace test;

constexpr int64_t VOCABULARY = 9;
constexpr int32_t BANNED = 4;

// One row of logits, drawn from once for each key.
std::vector<uint32_t> draw(Backend& backend, const std::vector<float>& logits, const std::vector<DrawKey>& draws,
                           float temperature) {
    const int64_t M = int64_t(draws.size());
    reference::Matrix<float> rows(M, VOCABULARY);
    for (int64_t i = 0; i < rows.rows * rows.cols; i++) rows.data[i] = logits[i % VOCABULARY];
    OpRun run(backend, Placement::tight, false);
    const Tensor x = run.input("logits", rows).tensor, tokens = run.written_integers("tokens", M).tensor;
    const Tensor confidence = run.written_f32("confidence", 1, M).tensor;
    backend.predict_tokens(tokens, confidence, x, draws.data(), {temperature, BANNED});
    return run.bits(tokens);
}

const std::vector<float> LOGITS = {1.5f, -0.5f, 0, 2, 9, 0.25f, -2, 1, 0.75f};

TEST(predicted_tokens_follow_the_softmax) {
    // Of 7 degrees of freedom: exceeded by chance once in ten thousand.
    constexpr double CHI_SQUARE = 29.9;
    constexpr int64_t COUNT = 20'000;
    std::vector<DrawKey> draws;
    for (uint32_t i = 0; i < COUNT; i++) draws.push_back({philox_key(8, i / 100), i % 100, i % 3});
    for (const std::string& path : usable_paths()) {
        const auto backend = make_cpu_backend(path);
        for (const float temperature : {0.5f, 1.0f, 2.0f}) {
            std::vector<int64_t> counts(VOCABULARY);
            for (const uint32_t token : draw(*backend, LOGITS, draws, temperature)) counts.at(token)++;
            double total = 0, chi_square = 0;
            for (int32_t v = 0; v < VOCABULARY; v++) total += v == BANNED ? 0 : std::exp(LOGITS[v] / temperature);
            for (int32_t v = 0; v < VOCABULARY; v++) {
                if (v == BANNED) continue;
                const double expected = COUNT * std::exp(LOGITS[v] / temperature) / total;
                chi_square += (double(counts[v]) - expected) * (double(counts[v]) - expected) / expected;
            }
            check_equal(counts[BANNED], int64_t(0), "banned tokens");
            if (chi_square < CHI_SQUARE) continue;
            throw Failure{join(path, ", temperature ", temperature, ": chi-square ", chi_square),
                          std::source_location::current()};
        }
    }
}

TEST(predicted_tokens_depend_on_every_part_of_the_draw) {
    const std::vector<float> equal(VOCABULARY, 0.0f);
    const auto backend = make_cpu_backend();
    const auto tokens_of = [&](uint64_t seed, uint64_t sample, uint32_t step, uint32_t position) {
        std::vector<DrawKey> draws;
        for (uint32_t i = 0; i < 64; i++) draws.push_back({philox_key(seed, sample), position + i, step});
        return draw(*backend, equal, draws, 1);
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
