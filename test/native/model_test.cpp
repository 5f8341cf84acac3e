// The whole model: gradients against finite differences, checkpoints, training and resuming, sampling in company.
#include "model.h"

#include "sampler.h"
#include "small_model.h"
#include "small_training.h"
#include "test.h"
#include "trainer.h"

#include <cmath>
#include <vector>

using namespace dllm;

namespace {

std::vector<int32_t> sample(const std::shared_ptr<Model>& model, const SampleConfig& config,
                            std::vector<SampleRequest> requests, size_t index) {
    Sampler sampler(model, config, std::move(requests));
    sampler.run(std::atomic<bool>(false));
    return sampler.canvases()[index].tokens();
}

}  // namespace

TEST(model_gradients_match_finite_differences_along_random_directions) {
    for (const Naming naming : ALL_NAMINGS) {
        const std::shared_ptr<Model> model = small_model(naming);
        Batch batch = masked_batch(model->config(), 2, 13);
        if (naming == Naming::llama) batch.attention.kind = AttentionKind::causal;
        if (naming == Naming::llada) batch.lengths = {13, 13};
        const Model::LossAndGradients exact = model->loss_and_gradients(batch);
        const std::vector<float> weights = all_weights(*model);
        for (uint64_t trial = 0; trial < 4; trial++) {
            // Along its own direction a gradient is large, so that float32 rounding of the loss matters little.
            std::vector<double> direction(weights.size());
            double slope = 0;
            for (size_t i = 0; i < weights.size(); i++) {
                const bool chosen =
                    trial == 0 || random_bits(philox_key(trial, 0), Stream::init, 0, 0, uint32_t(i)) % 2 == 0;
                direction[i] = chosen ? exact.gradients[i] : 0.0;
                slope += direction[i] * double(exact.gradients[i]);
            }
            const double h = 2e-3 / std::sqrt(slope);
            auto loss_at = [&](double scale) {
                std::vector<float> moved(weights.size());
                for (size_t i = 0; i < weights.size(); i++) moved[i] = float(weights[i] + scale * direction[i]);
                model->backend().upload(model->weights(), moved.data());
                return double(model->loss_and_gradients(batch).loss);
            };
            const double difference = (loss_at(h) - loss_at(-h)) / (2 * h);
            check_close(difference / slope, 1.0, 5e-3, "directional derivative");
        }
    }
}

TEST(model_saves_and_loads_bit_equal_weights) {
    const TemporaryFolder folder;
    for (const Naming naming : ALL_NAMINGS) {
        const std::shared_ptr<Model> model = small_model(naming);
        model->save(folder.file("model.safetensors"));
        const Model loaded(make_cpu_backend(), model->config(), folder.file("model.safetensors"));
        CHECK(all_weights(loaded) == all_weights(*model));
        ModelConfig other = model->config();
        other.mlp_width++;
        check_throws([&] { Model(make_cpu_backend(), other, folder.file("model.safetensors")); }, ErrorCode::checkpoint,
                     "shape");
        other = model->config();
        other.layers--;
        check_throws([&] { Model(make_cpu_backend(), other, folder.file("model.safetensors")); }, ErrorCode::checkpoint,
                     "not part of the configured model");
        other.layers += 2;
        check_throws([&] { Model(make_cpu_backend(), other, folder.file("model.safetensors")); }, ErrorCode::checkpoint,
                     "missing");
    }
    check_throws([&] { Model(make_cpu_backend(), small_config(Naming::gpt2), folder.file("absent.safetensors")); },
                 ErrorCode::checkpoint, "absent.safetensors");
}

TEST(rows_without_weight_and_padding_do_not_change_the_loss) {
    const std::shared_ptr<Model> model = small_model(Naming::llama);
    const Batch short_batch = masked_batch(model->config(), 1, 9);
    Batch padded = short_batch;
    padded.length = 14, padded.lengths = {9};
    padded.tokens.resize(14, 3), padded.targets.resize(14, -1), padded.loss_weights.resize(14, 0);
    const Model::LossAndGradients a = model->loss_and_gradients(short_batch), b = model->loss_and_gradients(padded);
    check_close(b.loss, a.loss, 1e-6, "loss");
    check_close(b.gradients, a.gradients, 1e-5, "gradients");
}

TEST(training_lowers_the_bound_and_resumes_bit_equal) {
    const TemporaryFolder folder;
    const Dataset dataset = periodic_dataset();
    const std::shared_ptr<Model> model = small_model(Naming::llama, 3);
    Trainer trainer(model, train_config());
    const Evaluation before = trainer.evaluate(dataset, false);
    for (int step = 0; step < 10; step++) trainer.step(dataset);
    model->save(folder.file("model.safetensors"));
    trainer.save(folder.file("optimizer.safetensors"));
    std::vector<double> losses;
    for (int step = 10; step < 20; step++) losses.push_back(trainer.step(dataset).loss);
    const Evaluation after = trainer.evaluate(dataset, false);
    CHECK(after.nll < before.nll - 0.2);
    check_throws([&] { trainer.evaluate(dataset, true); }, ErrorCode::aborted);

    const auto resumed_model =
        std::make_shared<Model>(make_cpu_backend(), model->config(), folder.file("model.safetensors"));
    Trainer resumed(resumed_model, train_config());
    resumed.load(folder.file("optimizer.safetensors"));
    check_equal(resumed.completed_steps(), 10, "completed steps");
    for (const double loss : losses) CHECK(resumed.step(dataset).loss == loss);
    CHECK(all_weights(*resumed_model) == all_weights(*model));
    check_throws([&] { resumed.load(folder.file("model.safetensors")); }, ErrorCode::checkpoint, "first_moment");
}

TEST(a_step_in_parts_equals_the_whole_step) {
    const Dataset dataset = periodic_dataset();
    for (const int64_t parts : {2, 3, 4}) {
        TrainConfig config = train_config();
        config.gradient_accumulation = parts;
        Trainer trainer(small_model(Naming::gpt2, 3), config);
        Trainer reference(small_model(Naming::gpt2, 3), train_config());
        for (int step = 0; step < 5; step++) {
            const StepStats a = reference.step(dataset), b = trainer.step(dataset);
            check_close(b.loss, a.loss, 1e-5, "loss");
            check_close(b.gradient_norm, a.gradient_norm, 1e-4, "gradient norm");
        }
        CHECK(trainer.bytes() < reference.bytes());
    }
    TrainConfig config = train_config();
    config.gradient_accumulation = 5;
    check_throws([&] { Trainer(small_model(Naming::gpt2, 3), config); }, ErrorCode::config, "gradientAccumulation");
}

TEST(samples_are_the_same_alone_and_in_any_company) {
    const std::shared_ptr<Model> model = small_model(Naming::llama, 4);
    const SampleConfig configs[] = {{8, 4, 0, Remasking::low_confidence},
                                    {8, 4, 1, Remasking::low_confidence},
                                    {2, 8, 1, Remasking::margin, {}, 5, 0.8},
                                    {0, 4, 1, Remasking::low_confidence, {CommitKind::threshold, 0.2f}},
                                    {0, 8, 0, Remasking::margin, {CommitKind::factor, 1.4f}}};
    for (const SampleConfig& config : configs) {
        std::vector<SampleRequest> requests;
        for (int64_t i = 0; i < 8; i++) {
            SampleRequest request{std::vector<int32_t>(size_t(i), 1), i, 11, uint64_t(i)};
            request.tokens.resize(size_t(i + 8), model->config().mask_token_id);
            requests.push_back(request);
        }
        for (size_t i = 0; i < requests.size(); i++) {
            const std::vector<int32_t> alone = sample(model, config, {requests[i]}, 0);
            CHECK(alone == sample(model, config, requests, i));
            for (size_t t = 0; t < alone.size(); t++) CHECK(alone[t] != model->config().mask_token_id);
            CHECK(std::equal(alone.begin(), alone.begin() + requests[i].prompt_length, requests[i].tokens.begin()));
        }
    }
    check_throws(
        [&] {
            Sampler(model, {8, 4, -1.0, Remasking::random}, {{{18}, 0, 0, 0}});
        },
        ErrorCode::config, "temperature");
    check_throws([&] { Sampler(model, {8, 4, 0.0, Remasking::random}, {}); }, ErrorCode::config, "no requests");
    const auto rejects = [&](const SampleConfig& config, const char* text) {
        check_throws([&] { Sampler(model, config, {{{18}, 0, 0, 0}}); }, ErrorCode::config, text);
    };
    rejects({1, 1, 1, Remasking::margin, {}, -1}, "topK");
    rejects({1, 1, 1, Remasking::margin, {}, 0, 0}, "topP");
    rejects({1, 1, 1, Remasking::margin, {CommitKind::factor, 0}}, "factor");
    rejects({1, 1, 1, Remasking::random, {CommitKind::threshold, 0.5f}}, "probabilities");
}

TEST(sampler_stops_when_aborted) {
    const std::shared_ptr<Model> model = small_model(Naming::gpt2);
    Sampler sampler(model, {4, 4, 0.0, Remasking::random}, {{{18, 18, 18, 18}, 0, 0, 0}});
    check_throws([&] { sampler.run(std::atomic<bool>(true)); }, ErrorCode::aborted);
    const std::vector<Frame> frames = sampler.step();
    check_equal(frames[0].positions.size(), size_t(1), "committed positions");
    CHECK(frames[0].confidences[0] > 0 && frames[0].confidences[0] <= 1);
}
