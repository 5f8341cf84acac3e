// Op cases: the predicted token, equal to the float twin's, and its confidence.
#include "op_cases.h"
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

// Which token is a float comparison, so the float twin decides; how confident is a number, so the double twin does.
void add_predict(OpCases& cases, Logits kind, int64_t M, int64_t V, int32_t banned, float temperature) {
    const char* kind_name[] = {"", " tied", " banned best", " banned only finite", " huge"};
    const std::string name = case_name("predict_tokens", {M, V}) + kind_name[int(kind)] + " banned " +
                             std::to_string(banned) + " temperature " + std::to_string(temperature);
    const double tolerance = V > 100 ? 1e-5 : 2e-6;  // of a plain float sum over the vocabulary
    add_case(cases, name, tolerance, [=](OpRun& run) {
        Operand& logits = run.input("logits", logits_of(run.random, kind, M, V, banned));
        Integers& tokens = run.written_integers("tokens", M);
        Operand& confidence = run.written_f32("confidence", 1, M);
        std::vector<DrawKey> draws(M);
        for (int64_t m = 0; m < M; m++) draws[m] = {philox_key(5, uint64_t(m % 7)), uint32_t(m), uint32_t(m % 3)};
        const PredictOptions options{temperature, banned};
        run.backend.predict_tokens(tokens.tensor, confidence.tensor, logits.tensor, draws.data(), options);
        run.twin([&] {
            reference::Matrix<float> values(M, V);  // as the backend sees them: rounded where it computes in bfloat16
            std::copy(logits.twin.data.begin(), logits.twin.data.end(), values.data.begin());
            for (int64_t m = 0; m < M; m++) {
                tokens.twin[m] = reference::predict_token(values, m, draws[m], options);
                confidence.twin(0, m) = reference::token_confidence(logits.twin, m, tokens.twin[m]);
            }
        });
    });
}

}  // namespace

void add_predict_cases(OpCases& cases) {
    for (const float temperature : {0.0f, 1.0f}) {
        for (const int64_t V : {2, 3, 66, 1003}) {
            for (const int32_t banned : {0, int32_t(V / 2), int32_t(V - 1)}) {
                add_predict(cases, Logits::normal, 17, V, banned, temperature);
                add_predict(cases, Logits::tied, 17, V, banned, temperature);
                add_predict(cases, Logits::banned_best, 17, V, banned, temperature);
                add_predict(cases, Logits::banned_only_finite, 17, V, banned, temperature);
            }
        }
        add_predict(cases, Logits::normal, 5, 1024, 3, temperature);
        add_predict(cases, Logits::huge, 40, 1003, 1002, temperature);
        add_predict(cases, Logits::normal, 1, 1, -1, temperature);
        add_predict(cases, Logits::normal, 0, 66, 65, temperature);
    }
    // Thousands of noisy choices, at more than one temperature.
    add_predict(cases, Logits::normal, 3000, 66, 65, 1.0f);
    add_predict(cases, Logits::normal, 500, 66, 65, 0.3f);
    add_predict(cases, Logits::normal, 100, 1003, 7, 2.5f);
    add_predict(cases, Logits::normal, 9, 5003, 5002, 1.0f);
}

}  // namespace dllm::test
