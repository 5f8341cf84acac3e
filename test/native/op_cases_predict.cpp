// Op cases: the predicted token, equal to the float twin's, and its confidence.
#include "ceil_div.h"
#include "op_cases.h"
#include "plan_table.h"
#include "reference/predict.h"

#include <algorithm>
#include <limits>

namespace dllm::test {
namespace {

constexpr float INFINITE = std::numeric_limits<float>::infinity();

enum class Logits { normal, tied, banned_best, banned_only_finite, huge };

reference::Matrix<float> logits_of(Random& random, Logits kind, int64_t M, int64_t V, int32_t banned) {
    reference::Matrix<float> logits = random.normal<float>(M, V, 2);
    for (int64_t m = 0; m < M; m++) {
        for (int64_t v = 0; v < V; v++) {
            float& logit = logits(m, v);
            if (kind == Logits::tied) logit = float(random.integer(3));
            if (kind == Logits::banned_best && v == banned) logit = 30;
            // Every other row: the mask token alone has any probability.
            if (kind == Logits::banned_only_finite && v != banned && m % 2 == 0) logit = -INFINITE;
            if (kind == Logits::huge) logit = float(random.real(-1e4, 1e4));
        }
    }
    return logits;
}

constexpr int64_t LENGTH = 7;  // rows of a request

std::string describe(const PredictOptions& options) {
    const char* scores[] = {"", " random", " margin", " entropy"};
    return " banned " + std::to_string(options.banned_token) + " temperature " + std::to_string(options.temperature) +
           (options.top_k > 0 ? " top-k " + std::to_string(options.top_k) : "") +
           (options.top_p < 1 ? " top-p " + std::to_string(options.top_p) : "") + scores[int(options.score)];
}

// Which token is a float comparison, so the float twin decides; how confident is a number, so the double twin does.
void add_predict(OpCases& cases, Logits kind, int64_t M, int64_t V, const PredictOptions& options) {
    const char* kind_name[] = {"", " tied", " banned best", " banned only finite", " huge"};
    const std::string name = case_name("predict_tokens", {M, V}) + kind_name[int(kind)] + describe(options);
    const double tolerance = V > 2000 ? 5e-5 : V > 100 ? 1e-5 : 2e-6;  // of a plain float sum over the vocabulary
    add_case(cases, name, tolerance, [=](OpRun& run) {
        Operand& logits = run.input("logits", logits_of(run.random, kind, M, V, options.banned_token));
        const int64_t B = ceil_div(std::max<int64_t>(M, 1), LENGTH);
        std::vector<RequestPlan> plan(B);
        for (int64_t b = 0; b < B; b++) plan[b] = {0, 0, 0, int32_t(b % 3), philox_key(5, uint64_t(b % 11))};
        // Every row once, in no order, but for padding at the end.
        std::vector<int32_t> rows = run.random.distinct(M, int32_t(B * LENGTH));
        if (M > 3) rows[M - 1] = rows[M - 2] = 0;
        const Integers& row_indices = run.input("rows", rows);
        Integers& tokens = run.written_integers("tokens", M);
        Operand& confidence = run.written_f32("confidence", 1, M);
        Operand& score = run.written_f32("score", 1, M);
        const Tensor plans = plan_table(run, plan).tensor;
        const Predictions out{row_indices.tensor, tokens.tensor, confidence.tensor, score.tensor};
        run.backend.predict_tokens(out, logits.tensor, plans, LENGTH, options);
        run.twin([&] {
            reference::Matrix<float> values(M, V);  // as the backend sees them: rounded where it computes in bfloat16
            std::copy(logits.twin.data.begin(), logits.twin.data.end(), values.data.begin());
            for (int64_t m = 0; m < M; m++) {
                const reference::Draw draw = reference::draw_of(plan, rows[m], LENGTH);
                tokens.twin[m] = reference::predict_token(values, m, draw, options);
                confidence.twin(0, m) = reference::token_confidence(logits.twin, m, tokens.twin[m]);
                score.twin(0, m) = reference::token_score(logits.twin, m, tokens.twin[m], draw, options.score);
            }
        });
    });
}

}  // namespace

void add_predict_cases(OpCases& cases) {
    for (const float temperature : {0.0f, 1.0f}) {
        for (const int32_t V : {2, 3, 66, 1003}) {
            for (const int32_t banned : {0, V / 2, V - 1}) {
                for (const Logits kind :
                     {Logits::normal, Logits::tied, Logits::banned_best, Logits::banned_only_finite})
                    add_predict(cases, kind, 17, V, {temperature, banned});
            }
        }
        add_predict(cases, Logits::normal, 5, 1024, {temperature, 3});
        add_predict(cases, Logits::huge, 40, 1003, {temperature, 1002});
        add_predict(cases, Logits::normal, 1, 1, {temperature, -1});
        add_predict(cases, Logits::normal, 0, 66, {temperature, 65});
    }
    // Thousands of noisy choices, at more than one temperature.
    add_predict(cases, Logits::normal, 3000, 66, {1.0f, 65});
    add_predict(cases, Logits::normal, 500, 66, {0.3f, 65});
    add_predict(cases, Logits::normal, 100, 1003, {2.5f, 7});
    add_predict(cases, Logits::normal, 9, 5003, {1.0f, 5002});

    constexpr Remasking LOW = Remasking::low_confidence;
    for (const Remasking score : {Remasking::random, Remasking::margin, Remasking::entropy}) {
        for (const int32_t V : {2, 66, 1003, 5003}) {
            for (const Logits kind : {Logits::normal, Logits::tied, Logits::banned_best, Logits::banned_only_finite}) {
                // Of one sure token the entropy is the difference of two numbers that are nearly equal.
                if (kind == Logits::banned_best && score == Remasking::entropy) continue;
                add_predict(cases, kind, 19, V, {V == 66 ? 0.7f : 0.0f, V / 2, score});
            }
        }
        add_predict(cases, Logits::normal, 19, 1, {0, -1, score});
        if (score != Remasking::entropy) add_predict(cases, Logits::huge, 19, 1003, {0, 1, score});
    }
    for (const int64_t top_k : {1, 2, 5, 65, 66, 4000}) {
        for (const Logits kind : {Logits::normal, Logits::tied, Logits::banned_best, Logits::banned_only_finite})
            add_predict(cases, kind, 60, 66, {1.5f, 3, LOW, top_k});
        add_predict(cases, Logits::normal, 25, 5003, {1.0f, 5002, Remasking::margin, top_k});
        add_predict(cases, Logits::huge, 9, 1003, {100.0f, 1002, LOW, top_k});
    }
    // The vocabularies of GPT-2 and LLaDA: many rounds over a row for a GPU's block
    for (const int32_t V : {50257, 126464}) {
        add_predict(cases, Logits::normal, 2, V, {0, V - 1, Remasking::margin});
        add_predict(cases, Logits::normal, 2, V, {1.0f, V / 2});
        add_predict(cases, Logits::normal, 2, V, {0.7f, 0, LOW, 50, 0.9f});
    }
    for (const float top_p : {1e-6f, 0.3f, 0.5f, 0.9f, 0.999f}) {
        for (const Logits kind : {Logits::normal, Logits::tied, Logits::banned_best, Logits::banned_only_finite})
            add_predict(cases, kind, 60, 66, {0.8f, 3, LOW, 0, top_p});
        add_predict(cases, Logits::normal, 25, 5003, {1.3f, 0, Remasking::entropy, 0, top_p});
        add_predict(cases, Logits::tied, 60, 66, {1.0f, 65, Remasking::random, 7, top_p});
        add_predict(cases, Logits::normal, 60, 3, {1.0f, 1, LOW, 2, top_p});
    }
}

}  // namespace dllm::test
