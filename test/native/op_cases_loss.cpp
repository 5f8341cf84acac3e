// Op cases: the cross-entropy, the gradient norm and AdamW.
#include "op_cases.h"
#include "reference/loss.h"
#include "reference/optimizer.h"

#include <algorithm>
#include <cmath>

namespace dllm::test {
namespace {

enum class Logits { normal, huge, equal };

void add_cross_entropy(OpCases& cases, int64_t M, int64_t V, Logits kind, bool only_zero_weights = false) {
    const char* kind_name[] = {"", " huge", " equal"};
    const std::string name =
        case_name("cross_entropy", {M, V}) + kind_name[int(kind)] + (only_zero_weights ? " of weight 0" : "");
    const double tolerance = V > 100000 ? 1e-5 : 2e-6;  // of a plain float sum over the vocabulary
    // Where most of a row's gradient is in one or two elements, their roundings of up to 2^-8 do not average out.
    const double bfloat16_tolerance = V < 100 || kind == Logits::huge ? 0x1.01p-8 : ONE_ROUNDING;
    const auto run_case = [=](OpRun& run) {
        reference::Matrix<float> values = run.random.normal<float>(M, V, 3), row_weights(1, M);
        for (float& logit : values.data) {
            if (kind == Logits::huge) logit = float(run.random.real(-1e4, 1e4));
            if (kind == Logits::equal) logit = -7.5f;
        }
        for (int64_t m = 0; m < M; m++) {
            row_weights(0, m) = m % 3 == 1 || only_zero_weights ? 0.0f : float(run.random.real(0.1, 5));
        }
        Operand& logits = run.changed("logits", values);
        Operand& weights = run.input_f32("weights", row_weights);
        // The first target is the least likely: a target of probability 1 has a gradient no float can resolve.
        std::vector<int32_t> ids = run.random.integers(M, int32_t(V));
        if (M > 0)
            ids[0] = int32_t(std::min_element(values.data.begin(), values.data.begin() + V) - values.data.begin());
        Integers& targets = run.input("targets", ids);
        Operand& loss = run.changed_f32("loss", run.random.normal<float>(1, 1));
        run.backend.cross_entropy(loss.tensor, logits.tensor, targets.tensor, weights.tensor);
        run.twin([&] { reference::cross_entropy(loss.twin, logits.twin, targets.twin, weights.twin); });
    };
    add_case(cases, name, tolerance, run_case, bfloat16_tolerance);
}

void add_global_norm(OpCases& cases, int64_t rows, int64_t cols, double scale) {
    add_case(cases, case_name("global_norm", {rows, cols}) + (scale == 0 ? " of zeros" : ""), 1e-6, [=](OpRun& run) {
        run.contiguous();
        Operand& x = run.input_f32("x", run.random.normal<float>(rows, cols, scale));
        Operand& out = run.written_f32("out", 1, 1);
        run.backend.global_norm(out.tensor, x.tensor);
        run.twin([&] { reference::global_norm(out.twin, x.twin); });
    });
}

constexpr float BETA1 = 0.9f, BETA2 = 0.99f, FINITE = 3.5f;

// The loss and the gradient norm.
Operand& stats_of(OpRun& run, float loss, float norm) {
    reference::Matrix<float> values(1, Stats::columns);
    values(0, Stats::loss) = loss, values(0, Stats::gradient_norm) = norm;
    return run.input_f32("stats", values);
}

Operand& schedule_of(OpRun& run, int64_t updates, float average_rest) {
    reference::Matrix<float> values(1, Schedule::columns);
    values(0, Schedule::learning_rate) = 0.01f;
    values(0, Schedule::bias_correction1) = float(1 - std::pow(double(BETA1), double(updates)));
    values(0, Schedule::bias_correction2) = float(1 - std::pow(double(BETA2), double(updates)));
    values(0, Schedule::average_rest) = average_rest;
    return run.input_f32("schedule", values);
}

std::string of_stats(float loss, float norm) {
    return std::isfinite(loss) && std::isfinite(norm)
               ? ""
               : " of loss " + std::to_string(loss) + " and norm " + std::to_string(norm);
}

void add_moving_average(OpCases& cases, int64_t rows, int64_t cols, float rest, float loss = FINITE,
                        float norm = FINITE) {
    add_case(cases, case_name("moving_average", {rows, cols}) + of_stats(loss, norm), 3e-7, [=](OpRun& run) {
        run.contiguous();
        Operand& out = run.changed_f32("out", run.random.normal<float>(rows, cols));
        Operand& x = run.input_f32("x", run.random.normal<float>(rows, cols));
        Operand &stats = stats_of(run, loss, norm), &schedule = schedule_of(run, 1, rest);
        run.backend.moving_average(out.tensor, x.tensor, stats.tensor, schedule.tensor);
        run.twin([&] { reference::moving_average(out.twin, x.twin, stats.twin, schedule.twin); });
    });
}

// Weights as small as the updates, so that an error in an update is not lost in them.
void add_adamw(OpCases& cases, int64_t rows, int64_t cols, float weight_decay, float gradient_clip, int64_t steps,
               bool rounding = false) {
    const std::string name = case_name(rounding ? "adamw_rounding" : "adamw", {rows, cols, steps}) +
                             (weight_decay > 0 ? " decay" : "") +
                             (gradient_clip > 0 ? " clip " + std::to_string(gradient_clip) : "");
    add_case(cases, name, 2e-6, [=](OpRun& run) {
        run.contiguous();
        Operand& weights = run.changed_f32("weights", run.random.normal<float>(rows, cols, 0.02));
        Operand& first_moment = run.changed_f32("first_moment", reference::Matrix<float>(rows, cols));
        Operand& second_moment = run.changed_f32("second_moment", reference::Matrix<float>(rows, cols));
        Operand& rounded = rounding ? run.written("rounded", rows, cols) : run.absent();
        for (int64_t step = 1; step <= steps; step++) {
            Operand& gradients = run.input_f32("gradients", run.random.normal<float>(rows, cols));
            // Below, then above the clip.
            Operand &stats = stats_of(run, FINITE, step % 2 == 0 ? 7.0f : 0.25f), &schedule = schedule_of(run, step, 1);
            const AdamWConstants constants{BETA1, BETA2, 1e-8f, weight_decay, gradient_clip};
            if (rounding) {
                run.backend.adamw_rounding(rounded.tensor, weights.tensor, first_moment.tensor, second_moment.tensor,
                                           gradients.tensor, stats.tensor, schedule.tensor, constants);
            } else {
                run.backend.adamw(weights.tensor, first_moment.tensor, second_moment.tensor, gradients.tensor,
                                  stats.tensor, schedule.tensor, constants);
            }
            run.twin([&] {
                reference::adamw(weights.twin, first_moment.twin, second_moment.twin, gradients.twin, stats.twin,
                                 schedule.twin, constants);
                if (rounding) rounded.twin = weights.twin;
            });
        }
    });
}

// A step that is not finite: weights, moments and the rounded copy stay as they are.
void add_skipped_adamw(OpCases& cases, int64_t rows, int64_t cols, float loss, float norm) {
    add_case(
        cases, case_name("adamw_rounding", {rows, cols}) + of_stats(loss, norm), 0,
        [=](OpRun& run) {
            run.contiguous();
            const reference::Matrix<float> values = run.random.normal<float>(rows, cols, 0.02);
            Operand &weights = run.changed_f32("weights", values), &rounded = run.changed("rounded", values);
            Operand& first_moment = run.changed_f32("first_moment", run.random.normal<float>(rows, cols));
            Operand& second_moment = run.changed_f32("second_moment", reference::Matrix<float>(rows, cols, 0.5f));
            Operand& gradients = run.input_f32("gradients", run.random.normal<float>(rows, cols));
            Operand &stats = stats_of(run, loss, norm), &schedule = schedule_of(run, 3, 1);
            run.backend.adamw_rounding(rounded.tensor, weights.tensor, first_moment.tensor, second_moment.tensor,
                                       gradients.tensor, stats.tensor, schedule.tensor, {BETA1, BETA2, 1e-8f, 0.1f, 1});
        },
        0);
}

}  // namespace

void add_loss_cases(OpCases& cases) {
    for (const int64_t M : {0, 1, 5, 300}) {
        for (const int64_t V : {1, 2, 66, 1003}) {
            add_cross_entropy(cases, M, V, Logits::normal);
            add_cross_entropy(cases, M, V, Logits::huge);
        }
    }
    // Whole packs, and all that a GPU's block keeps of a row
    for (const int64_t V : {64, 1024, 8192}) add_cross_entropy(cases, 5, V, Logits::normal);
    add_cross_entropy(cases, 3, 5003, Logits::normal);
    // Wider than what a GPU's kernel keeps of a row: in float32, and in bfloat16
    for (const int64_t V : {50257, 126464}) add_cross_entropy(cases, 2, V, Logits::normal);
    add_cross_entropy(cases, 5, 66, Logits::equal);
    add_cross_entropy(cases, 5, 66, Logits::normal, true);

    add_global_norm(cases, 1, 1, 1);
    add_global_norm(cases, 3, 333, 100);
    add_global_norm(cases, 257, 1001, 1e-3);
    add_global_norm(cases, 7, 11, 0);
    add_global_norm(cases, 3000, 2801, 1);  // more than a GPU's blocks take in one go

    for (const float clip : {0.0f, 1.0f}) {
        for (const float decay : {0.0f, 0.1f}) {
            add_adamw(cases, 1, 1, decay, clip, 4);
            add_adamw(cases, 3, 37, decay, clip, 5);
            add_adamw(cases, 130, 301, decay, clip, 2);
        }
    }
    add_adamw(cases, 1, 1, 0.1f, 1, 4, true);
    add_adamw(cases, 3, 37, 0.1f, 1, 5, true);
    add_adamw(cases, 130, 301, 0, 0, 2, true);
    add_moving_average(cases, 1, 1, 0.5f);
    add_moving_average(cases, 3, 37, 1e-4f);
    add_moving_average(cases, 130, 301, 1.0f);
    for (const auto& [loss, norm] : {std::pair(NAN, FINITE), std::pair(FINITE, NAN), std::pair(INFINITY, FINITE),
                                     std::pair(FINITE, INFINITY), std::pair(-INFINITY, NAN)}) {
        add_skipped_adamw(cases, 3, 37, loss, norm);
        add_moving_average(cases, 3, 37, 0.5f, loss, norm);
    }
}

}  // namespace dllm::test
