// Objectives, noise, learning rates and datasets.
#include "objective.h"

#include "learning_rate.h"
#include "noise.h"
#include "small_model.h"
#include "test.h"

#include <cmath>
#include <numeric>
#include <set>
#include <vector>

using namespace dllm;

namespace {

const ModelConfig MODEL = small_config(Naming::llada);

TrainConfig train_config(ObjectiveKind kind, double random_length_fraction = 0) {
    TrainConfig config{};
    config.batch_size = 8, config.context_length = 32, config.seed = 5, config.eval_batches = 2;
    config.objective = {kind, 1e-3, random_length_fraction};
    return config;
}

// Consecutive tokens differ by one (mod 17), so that any window is recognised.
Dataset counting_dataset(int64_t size) {
    std::vector<int32_t> tokens(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; i++) tokens[size_t(i)] = int32_t(i % 17);
    return Dataset(std::move(tokens));
}

}  // namespace

TEST(masked_objective_weighs_masked_tokens_by_one_over_p) {
    const TrainConfig config = train_config(ObjectiveKind::masked);
    const Dataset dataset = counting_dataset(1000);
    double weight_sum = 0;
    constexpr int64_t STEPS = 400;
    for (int64_t step = 0; step < STEPS; step++) {
        const Batch batch = training_batch(config, MODEL, dataset, step);
        validate(batch, MODEL, true);
        CHECK(batch.attention.kind == AttentionKind::full);
        check_equal(batch.length, 32, "length");
        for (int64_t b = 0; b < batch.batch; b++) {
            std::set<float> weights;
            for (int64_t t = 0; t < batch.length; t++) {
                const size_t i = size_t(b * batch.length + t);
                const bool is_masked = batch.tokens[i] == MODEL.mask_token_id;
                CHECK(is_masked == (batch.loss_weights[i] != 0));
                CHECK(is_masked || batch.tokens[i] == batch.targets[i]);
                if (t > 0) check_equal(batch.targets[i], (batch.targets[i - 1] + 1) % 17, "clean window");
                if (is_masked) weights.insert(batch.loss_weights[i]);
                weight_sum += batch.loss_weights[i];
            }
            CHECK(weights.size() <= 1);
            // Sequence b's time lies in the b-th of B equal strata.
            if (weights.empty()) continue;
            const double p = 1.0 / (double(*weights.begin()) * 8 * 32);
            const double time = (p - 1e-3) / (1 - 1e-3);
            CHECK(time > double(b) / 8 - 1e-6 && time < double(b + 1) / 8 + 1e-6);
        }
    }
    // A predictor whose nll is constant is charged exactly that: the weights of a step add up to 1 on average.
    check_close(weight_sum / STEPS, 1.0, 0.03, "mean weight sum");
}

TEST(noise_masks_with_the_asked_probability) {
    for (const double p : {0.001, 0.3, 0.97}) {
        std::vector<int32_t> tokens(40000, 3);
        std::vector<float> weights(tokens.size());
        corrupt(tokens, weights, 9, p, 2.0, philox_key(1, 2));
        double masked = 0;
        for (size_t i = 0; i < tokens.size(); i++) {
            masked += tokens[i] == 9;
            CHECK(weights[i] == (tokens[i] == 9 ? float(2.0 / p) : 0.0f));
        }
        CHECK(std::abs(masked / 40000 - p) < 5 * std::sqrt(p * (1 - p) / 40000));
    }
    check_close(mask_probability(0, 1e-3), 1e-3, 1e-12, "at time 0");
    check_close(mask_probability(1, 1e-3), 1, 1e-12, "at time 1");
}

TEST(next_token_objective_shifts_targets) {
    const Batch batch = training_batch(train_config(ObjectiveKind::next_token), MODEL, counting_dataset(100), 3);
    validate(batch, MODEL, true);
    CHECK(batch.attention.kind == AttentionKind::causal);
    for (size_t i = 0; i < batch.tokens.size(); i++) {
        const bool last = i % 32 == 31;
        check_close(batch.loss_weights[i], last ? 0.0 : 1.0 / (8 * 31), 1e-9, "weight");
        if (!last) check_equal(batch.targets[i], batch.tokens[i + 1], "target");
    }
}

TEST(batches_are_a_function_of_seed_and_step) {
    const Dataset dataset = counting_dataset(5000);
    TrainConfig config = train_config(ObjectiveKind::masked);
    const Batch first = training_batch(config, MODEL, dataset, 10);
    CHECK(training_batch(config, MODEL, dataset, 10).tokens == first.tokens);
    CHECK(training_batch(config, MODEL, dataset, 11).tokens != first.tokens);
    const Batch evaluation = evaluation_batch(config, MODEL, dataset, 0);
    config.seed = 6;
    CHECK(training_batch(config, MODEL, dataset, 10).tokens != first.tokens);
    CHECK(evaluation_batch(config, MODEL, dataset, 0).tokens == evaluation.tokens);
    check_equal(evaluation.batch, EVAL_BATCH_SIZE, "evaluation batch");
}

TEST(windows_reach_both_ends_of_the_dataset) {
    const Dataset dataset = counting_dataset(35);  // windows begin at 0, 1, 2, 3
    std::set<int32_t> begins;
    for (int64_t step = 0; step < 20; step++) {
        const Batch batch = training_batch(train_config(ObjectiveKind::next_token), MODEL, dataset, step);
        for (size_t b = 0; b < 8; b++) begins.insert(batch.tokens[b * 32]);
    }
    CHECK(begins == std::set<int32_t>({0, 1, 2, 3}));
}

TEST(random_length_cuts_the_asked_share_of_steps) {
    const Dataset dataset = counting_dataset(200);
    const TrainConfig config = train_config(ObjectiveKind::masked, 0.25);
    int64_t cut = 0;
    std::set<int64_t> lengths;
    for (int64_t step = 0; step < 2000; step++) {
        const Batch batch = training_batch(config, MODEL, dataset, step);
        validate(batch, MODEL, true);
        cut += batch.length < 32;
        lengths.insert(batch.length);
    }
    // 31 of 32 random lengths are shorter than the context.
    CHECK(std::abs(double(cut) / 2000 - 0.25 * 31 / 32) < 0.04);
    check_equal(*lengths.begin(), 1, "shortest");
    for (int64_t i = 0; i < 40; i++)
        check_equal(evaluation_batch(config, MODEL, dataset, i).length, 32, "evaluation length");
}

TEST(datasets_reject_what_does_not_fit) {
    const TrainConfig config = train_config(ObjectiveKind::masked);
    check_throws([&] { training_batch(config, MODEL, counting_dataset(31), 0); }, ErrorCode::data, "31 tokens");
    training_batch(config, MODEL, counting_dataset(32), 0);
    const Dataset bad(std::vector<int32_t>(100, 19));
    check_throws([&] { training_batch(config, MODEL, bad, 0); }, ErrorCode::data, "is 19");
    check_throws([&] { Dataset missing("/nonexistent/train.bin", 2); }, ErrorCode::data, "/nonexistent/train.bin");
}

TEST(learning_rate_warms_up_and_falls_to_the_minimum) {
    const LearningRateConfig cosine{LearningRateSchedule::cosine, 1.0, 0.1, 10, 0, 110};
    check_close(learning_rate(cosine, 0), 0.1, 1e-12, "first");
    check_close(learning_rate(cosine, 9), 1.0, 1e-12, "end of warm-up");
    check_close(learning_rate(cosine, 60), 0.55, 1e-12, "half way");
    check_close(learning_rate(cosine, 110), 0.1, 1e-12, "end");
    check_close(learning_rate(cosine, 500), 0.1, 1e-12, "after the end");
    for (int64_t step = 11; step < 110; step++) CHECK(learning_rate(cosine, step) < learning_rate(cosine, step - 1));
    const LearningRateConfig wsd{LearningRateSchedule::wsd, 1.0, 0.2, 10, 40, 100};
    check_close(learning_rate(wsd, 4), 0.5, 1e-12, "wsd warm-up");
    for (int64_t step = 10; step <= 60; step++) check_close(learning_rate(wsd, step), 1.0, 1e-12, "wsd stable");
    check_close(learning_rate(wsd, 80), 0.6, 1e-12, "wsd half way down");
    check_close(learning_rate(wsd, 100), 0.2, 1e-12, "wsd end");
    check_close(learning_rate(wsd, 500), 0.2, 1e-12, "wsd after the end");
    const LearningRateConfig constant{LearningRateSchedule::constant, 0.5, 0, 0, 0, 10};
    check_close(learning_rate(constant, 0), 0.5, 1e-12, "constant");
    check_close(learning_rate(constant, 99), 0.5, 1e-12, "constant");
}
