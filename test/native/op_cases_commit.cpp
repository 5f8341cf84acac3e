// Op cases: the rows that a sampling step predicts, and which of its predictions it commits.
#include "op_cases.h"
#include "plan_table.h"
#include "reference/commit.h"

#include <algorithm>
#include <numeric>

namespace dllm::test {
namespace {

constexpr int32_t MASK = 3;

// Blocks anywhere in their requests, some of them empty.
std::vector<RequestPlan> random_plan(Random& random, int64_t B, int64_t T) {
    std::vector<RequestPlan> plan(B);
    for (RequestPlan& request : plan) {
        const int32_t a = random.integer(int32_t(T) + 1), b = random.integer(int32_t(T) + 1);
        request = {std::min(a, b), std::max(a, b), random.integer(6), random.integer(9), {}};
    }
    return plan;
}

// `room`: of the rows, beyond those there are.
void add_masked_rows(OpCases& cases, int64_t B, int64_t T, int32_t kinds, int64_t room) {
    const std::string name =
        case_name("masked_rows", {B, T}) + " of " + std::to_string(kinds) + " room " + std::to_string(room);
    add_case(cases, name, 0, [=](OpRun& run) {
        const std::vector<RequestPlan> plan = random_plan(run.random, B, T);
        std::vector<int32_t> tokens = run.random.integers(B * T, kinds);
        for (int32_t& token : tokens) token += MASK;
        const int64_t found = reference::masked_rows(tokens, plan, B * T, MASK).first.back();
        const int64_t M = std::max<int64_t>(0, found + room);
        const Integers& in = run.input("tokens", tokens);
        Integers &rows = run.written_integers("rows", M), &first = run.written_integers("first", B + 1);
        run.backend.masked_rows(rows.tensor, first.tensor, in.tensor, plan_table(run, plan).tensor, MASK);
        run.twin([&] {
            const reference::MaskedRows expected = reference::masked_rows(tokens, plan, M, MASK);
            rows.twin = expected.rows;
            first.twin = expected.first;
        });
    });
}

enum class Scores { probabilities, tied, one, entropies };

std::vector<float> scores_of(Random& random, Scores kind, int64_t count) {
    std::vector<float> scores(count);
    for (float& score : scores) {
        score = float(random.real(0, 1));
        if (kind == Scores::tied) score = 0.25f * float(random.integer(5)) + float(random.real(-1, 1)) * 0x1p-18f;
        if (kind == Scores::one) score = 1;
        if (kind == Scores::entropies) score = float(random.real(-9, 0));
    }
    return scores;
}

void add_commit(OpCases& cases, int64_t B, int64_t T, Scores kind, const CommitRule& rule, bool many = false) {
    const char *kinds[] = {"", " tied", " one", " entropies"}, *rules[] = {" count", " threshold ", " factor "};
    const std::string name = case_name("commit_tokens", {B, T}) + kinds[int(kind)] + rules[int(rule.kind)] +
                             (rule.kind == CommitKind::count ? "" : std::to_string(rule.value));
    add_case(cases, name, 0, [=](OpRun& run) {
        std::vector<RequestPlan> plan = random_plan(run.random, B, T);
        for (RequestPlan& request : plan)
            if (many) request = {0, int32_t(T), int32_t(T / 16), 1, {}};
        const std::vector<int32_t> tokens = run.random.integers(B * T, MASK + 2);
        const int64_t M = reference::masked_rows(tokens, plan, B * T, MASK).first.back() + 5;  // padded
        const reference::MaskedRows masked = reference::masked_rows(tokens, plan, M, MASK);
        const std::vector<float> scores = scores_of(run.random, kind, M);
        const std::vector<int32_t> predicted = run.random.integers(M, 1000);
        const reference::Matrix<float> confidences = run.random.normal<float>(1, M);
        reference::Matrix<float> score_row(1, M);
        std::copy(scores.begin(), scores.end(), score_row.data.begin());

        const Predictions predictions{run.input("rows", masked.rows).tensor, run.input("predicted", predicted).tensor,
                                      run.input_f32("confidence", confidences).tensor,
                                      run.input_f32("score", score_row).tensor};
        const Tensor first = run.input("first", masked.first).tensor, plans = plan_table(run, plan).tensor;
        Integers& canvas = run.changed("tokens", tokens);
        Integers& steps = run.changed("steps", std::vector<int32_t>(B * T, -1));
        Operand& committed_confidences = run.changed_f32("confidences", reference::Matrix<float>(1, B * T));
        Integers& left = run.written_integers("left", B);
        run.backend.commit_tokens({canvas.tensor, steps.tensor, committed_confidences.tensor}, left.tensor, predictions,
                                  first, plans, rule);
        run.twin([&] {
            for (int64_t b = 0; b < B; b++) {
                const int64_t begin = masked.first[b], end = masked.first[b + 1];
                const std::vector<float> own(scores.begin() + begin, scores.begin() + end);
                const std::vector<int64_t> committed = reference::commit(own, rule, plan[b].count);
                for (const int64_t i : committed) {
                    const int32_t row = masked.rows[begin + i];
                    canvas.twin[row] = predicted[begin + i];
                    steps.twin[row] = plan[b].step;
                    committed_confidences.twin(0, row) = confidences(0, begin + i);
                }
                left.twin[b] = int32_t(end - begin - int64_t(committed.size()));
            }
        });
    });
}

}  // namespace

void add_commit_cases(OpCases& cases) {
    for (const int64_t T : {1, 7, 32, 33, 130, 1200}) {
        for (const int64_t B : {1, 3, 37}) {
            if (B * T > 5000) continue;
            for (const int64_t room : {0, 13, -2}) add_masked_rows(cases, B, T, 2, room);
            add_masked_rows(cases, B, T, 1, 1);
            for (const Scores kind : {Scores::probabilities, Scores::tied, Scores::one}) {
                add_commit(cases, B, T, kind, {});
                for (const float threshold : {0.01f, 0.5f, 0.9f, 1.0f})
                    add_commit(cases, B, T, kind, {CommitKind::threshold, threshold});
                for (const float factor : {0.25f, 1.0f, 8.0f, 1e12f})
                    add_commit(cases, B, T, kind, {CommitKind::factor, factor});
            }
            add_commit(cases, B, T, Scores::entropies, {});
        }
    }
    add_masked_rows(cases, 1100, 3, 2, 0);
    add_commit(cases, 1100, 3, Scores::tied, {});
    // More predictions of a request than a GPU's block has threads
    for (const Scores kind : {Scores::probabilities, Scores::tied}) add_commit(cases, 2, 12000, kind, {}, true);
}

}  // namespace dllm::test
