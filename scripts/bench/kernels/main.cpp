// Trains a model of a given shape and prints, as JSON, what each op of a step costs beside the device's limits:
//   dllm_kernels cpu|cuda:N float32|bfloat16 gpt2|llama LAYERS HEADS WIDTH CONTEXT VOCABULARY BATCH STEPS
#include "bench_device.h"
#include "bench_model.h"
#include "dataset.h"
#include "model.h"
#include "objective.h"
#include "timed_backend.h"
#include "trainer.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

using namespace dllm;

namespace {

constexpr int64_t BATCHES = 2;            // that steps are taken on in turn: others would have ops of other shapes
constexpr int64_t WARMUPS = 2 * BATCHES;  // steps, of which each batch's second records what later ones replay

struct Run {
    std::string device, dtype;
    BenchModel model;
    int64_t batch, steps;
};

Run parse(int count, char** arguments) {
    if (count != 11)
        throw std::runtime_error(
            "usage: dllm_kernels cpu|cuda:N float32|bfloat16 gpt2|llama LAYERS HEADS WIDTH CONTEXT VOCABULARY BATCH "
            "STEPS");
    auto number = [&](int index) { return std::stoll(arguments[index]); };
    return {arguments[1],
            arguments[2],
            {std::string(arguments[3]) == "gpt2", number(4), number(5), number(6), number(7), number(8)},
            number(9),
            number(10)};
}

TrainConfig train_config(const Run& run) {
    TrainConfig config{};
    config.batch_size = run.batch, config.gradient_accumulation = 1, config.context_length = run.model.context;
    config.objective = {ObjectiveKind::masked, 1e-3, 0};
    config.optimizer = {0.9f, 0.99f, 1e-8f, 0.1f, 1.0f};
    config.learning_rate = {LearningRateSchedule::constant, 1e-3, 1e-4, 1, 1, 1000};
    config.eval_batches = 1;
    return config;
}

// A step's sequences are worked on in equal parts; here they divide evenly.
int64_t rows_of_a_pass(const Run& run, int64_t limit) {
    const int64_t rows = run.batch * run.model.context;
    return rows / ((rows - 1) / limit + 1);
}

Dataset random_tokens(const Run& run) {
    std::vector<int32_t> tokens(size_t(64 * run.model.context));
    for (size_t i = 0; i < tokens.size(); i++)
        tokens[i] =
            int32_t(random_bits(philox_key(1, i), Stream::window, 0, 0, 0) % uint32_t(run.model.vocabulary - 1));
    return Dataset(std::move(tokens));
}

struct Training {
    std::vector<double> seconds;  // of each step after the first ones
    std::string plans;            // that were chosen
    RecordingCounts recordings;   // of those steps
};

RecordingCounts since(const RecordingCounts& before, const RecordingCounts& now) {
    return {now.plain - before.plain, now.captured - before.captured, now.replayed - before.replayed, now.failure};
}

Training train(
    std::unique_ptr<Backend> backend, const Run& run, int64_t warmups, int64_t steps, const std::string& plans,
    const std::function<void()>& warmed_up = [] {}) {
    const std::string reason = plans.empty() ? "" : backend->restore_plans(plans);
    if (!reason.empty()) throw std::runtime_error(reason);
    const auto model = std::make_shared<Model>(std::move(backend), run.model.config(), 1);
    Trainer trainer(model, train_config(run));
    const Dataset dataset = random_tokens(run);
    std::vector<Batch> batches;
    for (int64_t i = 0; i < BATCHES; i++)
        batches.push_back(training_batch(trainer.config(), model->config(), dataset, i));
    const auto step = [&](int64_t i) { return trainer.step(batches[size_t(i % BATCHES)]).seconds; };
    for (int64_t i = 0; i < warmups; i++) step(i);
    warmed_up();
    const RecordingCounts before = model->backend().recording_counts();
    Training training;
    for (int64_t i = 0; i < steps; i++) training.seconds.push_back(step(i));
    training.plans = model->backend().plans();
    training.recordings = since(before, model->backend().recording_counts());
    return training;
}

void print_list(const char* name, const std::vector<double>& values) {
    std::printf("\"%s\": [", name);
    for (size_t i = 0; i < values.size(); i++) std::printf("%s%.6g", i == 0 ? "" : ", ", values[i]);
    std::printf("], ");
}

// counts: of so many steps
void print_ops(const OpCounts& counts, int64_t steps) {
    std::printf("\"ops\": [");
    const char* separator = "";
    for (const auto& [name, count] : counts) {
        const double n = double(steps);
        std::printf(
            "%s\n{\"op\": \"%s\", \"calls\": %g, \"seconds\": %.6g, \"lowest\": %.6g, \"highest\": %.6g, "
            "\"operations\": %.6g, \"bytes\": %.6g}",
            separator, name.c_str(), double(count.calls) / n, count.seconds / n, count.lowest / n, count.highest / n,
            count.operations / n, count.bytes / n);
        separator = ",";
    }
    std::printf("]");
}

}  // namespace

int main(int count, char** arguments) {
    try {
        const Run run = parse(count, arguments);
        const BenchDevice device(run.device, run.dtype);
        auto backend = device.make();
        const int64_t rows = rows_of_a_pass(run, backend->rows_per_pass());
        const bool runs_behind = backend->runs_behind();
        const auto counts = std::make_shared<OpCounts>();
        const auto timed = [&] { return std::make_unique<TimedBackend>(std::move(backend), counts, rows); };
        Training whole, counted;
        int64_t counted_steps = run.steps;
        if (runs_behind) {
            // Choosing plans must cost no step that is timed, and timing each op none that is timed as a whole.
            const std::string plans = train(std::move(backend), run, 0, BATCHES, {}).plans;
            whole = train(device.make(), run, WARMUPS, run.steps, plans);
            backend = device.make();
            counted_steps = BATCHES;  // each op warms itself up
            counted = train(timed(), run, 0, counted_steps, plans);
        } else {
            whole = counted = train(timed(), run, WARMUPS, run.steps, {}, [&] { counts->clear(); });
        }
        const Limits limits = device.measure(std::min<int64_t>(4 * rows, 8192));
        std::printf("{\"path\": \"%s\", \"threads\": %d, ", device.path().c_str(), device.threads());
        print_list("arithmetic", limits.arithmetic);
        print_list("copy", limits.copy);
        print_list("stepSeconds", whole.seconds);
        print_recordings("stepRecordings", whole.recordings);
        std::printf(", ");
        print_recordings("opRecordings", counted.recordings);
        std::printf(", ");
        print_ops(*counts, counted_steps);
        std::printf("}\n");
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
