// The machinery of training: dropout, recomputed activations, the moving average, steps that are not finite.
#include "trainer.h"

#include "small_model.h"
#include "small_training.h"
#include "test.h"

#include <cmath>
#include <limits>

using namespace dllm;

namespace {

std::shared_ptr<Model> dropout_model(Naming naming, float dropout) {
    ModelConfig config = small_config(naming);
    config.layers = 3, config.dropout = dropout;
    return std::make_shared<Model>(make_cpu_backend(), config, 5);
}

// Loss and gradients of one pass with its dropout.
Model::LossAndGradients pass(const Model& model, const Batch& batch, float dropout, Pass kind) {
    Workspace workspace(model.backend(), model.config(), batch.batch, batch.length, kind);
    Tensor gradients, loss;
    const Arena arena = Arena::lay_out(
        model.backend(), [&](Arena& a) { gradients = a.take(1, model.parameters().size), loss = a.take(1, 1); });
    model.backend().zero(gradients);
    model.backend().zero(loss);
    workspace.load(batch, {dropout, 11, 0});
    model.transformer().loss_and_gradients(loss, gradients, model.weights(), workspace);
    Model::LossAndGradients result{0, download(model, gradients)};
    model.backend().download(&result.loss, loss);
    return result;
}

void check_same_run(const std::shared_ptr<Model>& a, const std::shared_ptr<Model>& b, const TrainConfig& config_a,
                    const TrainConfig& config_b) {
    const Dataset dataset = periodic_dataset();
    Trainer trainer_a(a, config_a), trainer_b(b, config_b);
    for (int step = 0; step < 5; step++) {
        const StepStats left = trainer_a.step(dataset), right = trainer_b.step(dataset);
        CHECK(left.loss == right.loss && left.gradient_norm == right.gradient_norm);
    }
    CHECK(all_weights(*a) == all_weights(*b));
    CHECK(trainer_a.bytes() > trainer_b.bytes());
}

}  // namespace

TEST(gradients_with_dropout_match_finite_differences) {
    constexpr float DROPOUT = 0.3f;
    for (const Naming naming : ALL_NAMINGS) {
        const std::shared_ptr<Model> model = dropout_model(naming, DROPOUT);
        const Batch batch = masked_batch(model->config(), 3, 13);
        const Model::LossAndGradients exact = pass(*model, batch, DROPOUT, Pass::training);
        CHECK(exact.loss != pass(*model, batch, 0, Pass::training).loss);
        const std::vector<float> weights = all_weights(*model);
        double slope = 0;
        for (const float g : exact.gradients) slope += double(g) * double(g);
        const double h = 2e-3 / std::sqrt(slope);
        auto loss_at = [&](double scale) {
            std::vector<float> moved(weights.size());
            for (size_t i = 0; i < weights.size(); i++)
                moved[i] = float(weights[i] + scale * double(exact.gradients[i]));
            model->backend().upload(model->weights(), moved.data());
            return double(pass(*model, batch, DROPOUT, Pass::training).loss);
        };
        check_close((loss_at(h) - loss_at(-h)) / (2 * h) / slope, 1.0, 5e-3, "directional derivative");
    }
}

TEST(dropout_drops_its_share_and_keeps_the_mean) {
    const std::unique_ptr<Backend> backend = make_cpu_backend();
    Tensor x, out, seed;
    const Arena arena = Arena::lay_out(
        *backend, [&](Arena& a) { x = a.take(300, 333), out = a.take(300, 333), seed = a.take(1, 3, DType::i32); });
    backend->upload(seed, std::vector<int32_t>{1, 0, 0}.data());
    const std::vector<float> ones(300 * 333, 1.0f);
    backend->upload(x, ones.data());
    for (const float probability : {0.0f, 0.1f, 0.5f, 0.9f}) {
        backend->dropout(out, x, {}, {probability, seed, 100, 2, {}});
        std::vector<float> values(ones.size());
        backend->download(values.data(), out);
        double sum = 0, dropped = 0;
        for (const float value : values) sum += value, dropped += value == 0;
        const double n = double(values.size()), p = probability, deviation = std::sqrt(p * (1 - p) / n);
        CHECK(std::abs(dropped / n - p) <= 4 * deviation);
        CHECK(std::abs(sum / n - 1) <= 4 * deviation / (1 - p) + 1e-6);
    }
}

TEST(recomputed_activations_change_no_bit) {
    for (const Naming naming : ALL_NAMINGS) {
        for (const float dropout : {0.0f, 0.2f}) {
            TrainConfig config = train_config();
            config.activation_recompute = true;
            check_same_run(dropout_model(naming, dropout), dropout_model(naming, dropout), train_config(), config);
        }
    }
}

TEST(a_step_in_parts_drops_what_the_whole_step_drops) {
    const Dataset dataset = periodic_dataset();
    TrainConfig config = train_config();
    config.gradient_accumulation = 3;
    Trainer parts(dropout_model(Naming::llama, 0.2f), config),
        whole(dropout_model(Naming::llama, 0.2f), train_config());
    for (int step = 0; step < 5; step++) {
        const StepStats a = whole.step(dataset), b = parts.step(dataset);
        check_close(b.loss, a.loss, 1e-5, "loss");
        check_close(b.gradient_norm, a.gradient_norm, 1e-4, "gradient norm");
    }
}

TEST(the_average_of_the_weights_follows_its_formula_and_is_evaluated) {
    const TemporaryFolder folder;
    const Dataset dataset = periodic_dataset();
    TrainConfig config = train_config();
    config.ema_decay = 0.3;
    const std::shared_ptr<Model> model = small_model(Naming::gpt2, 3);
    Trainer trainer(model, config);
    std::vector<double> expected;
    for (const float weight : all_weights(*model)) expected.push_back(weight);
    for (int step = 1; step <= 8; step++) {
        trainer.step(dataset);
        const double decay = std::min(0.3, (1.0 + step) / (10.0 + step));
        const std::vector<float> weights = all_weights(*model);
        for (size_t i = 0; i < weights.size(); i++) expected[i] += (1 - decay) * (double(weights[i]) - expected[i]);
    }
    trainer.save_ema(folder.file("ema.safetensors"));
    const auto averaged = std::make_shared<Model>(make_cpu_backend(), model->config(), folder.file("ema.safetensors"));
    check_close(all_weights(*averaged), std::vector<float>(expected.begin(), expected.end()), 1e-6, "average");
    CHECK(all_weights(*averaged) != all_weights(*model));

    Trainer plain(averaged, train_config());
    CHECK(plain.evaluate(dataset, false).nll == trainer.evaluate(dataset, false).nll);
    check_throws([&] { plain.save_ema(folder.file("x")); }, ErrorCode::config, "emaDecay is 0");
}

TEST(training_with_average_dropout_and_parts_resumes_bit_equal) {
    const TemporaryFolder folder;
    const Dataset dataset = periodic_dataset();
    TrainConfig config = train_config();
    config.ema_decay = 0.9, config.gradient_accumulation = 2, config.activation_recompute = true;
    const std::shared_ptr<Model> model = dropout_model(Naming::llama, 0.1f);
    Trainer trainer(model, config);
    for (int step = 0; step < 5; step++) trainer.step(dataset);
    model->save(folder.file("model"));
    trainer.save(folder.file("optimizer"));
    trainer.save_ema(folder.file("ema"));
    for (int step = 5; step < 10; step++) trainer.step(dataset);

    const std::shared_ptr<Model> other = dropout_model(Naming::llama, 0.1f);
    Trainer resumed(other, config);
    other->load(folder.file("model"));
    resumed.load(folder.file("optimizer"));
    resumed.load_ema(folder.file("ema"));
    for (int step = 5; step < 10; step++) resumed.step(dataset);
    CHECK(all_weights(*other) == all_weights(*model));
    CHECK(resumed.evaluate(dataset, false).nll == trainer.evaluate(dataset, false).nll);
}

TEST(a_step_that_is_not_finite_is_seen_at_once_and_changes_nothing) {
    const TemporaryFolder folder;
    const Dataset dataset = periodic_dataset();
    int places = 0;
    for (const Naming naming : ALL_NAMINGS) {
        const std::shared_ptr<Model> model = small_model(naming, 3);
        Trainer trainer(model, train_config());
        trainer.step(dataset);
        const std::vector<float> good = all_weights(*model);
        for (const Parameter& parameter : model->parameters().parameters) {
            for (const float poison :
                 {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
                std::vector<float> bad = good;
                std::fill_n(bad.begin() + parameter.offset, parameter.count, poison);
                model->backend().upload(model->weights(), bad.data());
                const StepStats stats = trainer.step(dataset);
                if (stats.updated)
                    throw test::Failure{parameter.name + " was not detected", std::source_location::current()};
                check_equal(stats.step, 2, "step");
                check_equal(trainer.completed_steps(), 1, "completed steps");
                places++;
            }
        }
        CHECK(places >= 20);

        // moments and counters are as they were: the run goes on as one that never met the poison
        model->backend().upload(model->weights(), good.data());
        const std::shared_ptr<Model> clean = small_model(naming, 3);
        Trainer reference(clean, train_config());
        reference.step(dataset);
        CHECK(reference.step(dataset).loss == trainer.step(dataset).loss);
        CHECK(all_weights(*clean) == all_weights(*model));

        trainer.skip_to(9);
        reference.skip_to(9);
        CHECK(trainer.step(dataset).step == 10);
        reference.step(dataset);
        CHECK(all_weights(*clean) == all_weights(*model));
        check_throws([&] { trainer.skip_to(3); }, ErrorCode::config, "at least the completed 10");
    }
}
