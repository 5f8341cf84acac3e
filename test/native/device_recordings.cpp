// Steps replayed as graphs against steps run op by op: see device_checks.h.
#include "device_checks.h"
#include "environment_setting.h"
#include "small_model.h"
#include "small_training.h"
#include "test.h"

#include <algorithm>
#include <cmath>

namespace dllm {
namespace {

struct Run {
    std::vector<float> weights, average;
    std::vector<double> numbers;  // of every step and evaluation
    RecordingCounts counts;
};

Run train(const MakeBackend& make, DType dtype, Naming naming) {
    const TemporaryFolder folder;
    ModelConfig model_config = small_config(naming);
    model_config.layers = 1, model_config.dropout = 0.1f;
    const auto model = std::make_shared<Model>(make(dtype), model_config, 5);
    TrainConfig config = train_config();
    config.objective.random_length_fraction = 0.3;
    config.ema_decay = 0.9, config.gradient_accumulation = 2, config.eval_batches = 1;
    const Dataset dataset = periodic_dataset();
    Trainer trainer(model, config);
    Run run;
    const auto note = [&](const StepStats& stats) {
        run.numbers.insert(run.numbers.end(), {stats.loss, stats.gradient_norm, double(stats.updated)});
    };
    for (int step = 0; step < 10; step++) {
        note(trainer.step(dataset));
        // Another shape in between, larger than those of the dataset.
        if (step == 4) note(trainer.step(masked_batch(model_config, 5, 27)));
        if (step % 3 == 2) run.numbers.push_back(trainer.evaluate(dataset, false).nll);
    }
    // A step that is not finite is seen when it is replayed, and changes nothing.
    const std::vector<float> good = all_weights(*model);
    std::vector<float> bad = good;
    std::fill_n(bad.begin(), bad.size() / 2, NAN);
    model->backend().upload(model->weights(), bad.data());
    model->round_weights();
    CHECK(!trainer.step(dataset).updated);
    CHECK(std::equal(bad.begin() + int64_t(bad.size()) / 2, bad.end(),
                     all_weights(*model).begin() + int64_t(bad.size()) / 2));
    model->backend().upload(model->weights(), good.data());
    model->round_weights();
    note(trainer.step(dataset));

    run.weights = all_weights(*model);
    trainer.save_ema(folder.file("ema"));
    run.average = all_weights(Model(make_cpu_backend(), model_config, folder.file("ema")));
    run.counts = trainer.recording_counts();
    return run;
}

}  // namespace

void check_replays(const MakeBackend& make, DType dtype, Naming naming) {
    const Run recorded = train(make, dtype, naming);
    const EnvironmentSetting setting("DLLM_CUDA_GRAPHS", "off");
    const Run plain = train(make, dtype, naming);
    check_equal(recorded.numbers, plain.numbers, "losses and norms");
    check_equal(recorded.weights, plain.weights, "weights");
    check_equal(recorded.average, plain.average, "average");
    check_equal(recorded.counts.failure, std::string(), "failure");
    // 13 steps of two parts and an update, and 3 evaluations; a first run of each shape is op by op.
    const RecordingCounts& counts = recorded.counts;
    CHECK(plain.counts.plain == 42 && plain.counts.captured == 0 && plain.counts.replayed == 0);
    CHECK(counts.plain + counts.captured + counts.replayed == 42);
    CHECK(counts.replayed >= 20 && counts.captured >= 3);
}

}  // namespace dllm
