// Trains a model of a given shape and prints, as JSON, what each op of a step costs beside the machine's limits:
//   dllm_kernels gpt2|llama LAYERS HEADS WIDTH CONTEXT VOCABULARY BATCH STEPS
#include "bench_model.h"
#include "ceilings.h"
#include "cpu/backend.h"
#include "cpu/kernels.h"
#include "cpu/thread_pool.h"
#include "dataset.h"
#include "model.h"
#include "timed_backend.h"
#include "trainer.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <vector>

using namespace dllm;

namespace {

struct Run {
    BenchModel model;
    int64_t batch, steps;
};

Run parse(int count, char** arguments) {
    if (count != 9)
        throw std::runtime_error("usage: dllm_kernels gpt2|llama LAYERS HEADS WIDTH CONTEXT VOCABULARY BATCH STEPS");
    auto number = [&](int index) { return std::stoll(arguments[index]); };
    return {{std::string(arguments[1]) == "gpt2", number(2), number(3), number(4), number(5), number(6)},
            number(7),
            number(8)};
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
int64_t rows_of_a_pass(const Run& run) {
    const int64_t rows = run.batch * run.model.context, limit = make_cpu_backend()->rows_per_pass();
    return rows / ((rows + limit - 1) / limit);
}

Dataset random_tokens(const Run& run) {
    std::vector<int32_t> tokens(size_t(64 * run.model.context));
    for (size_t i = 0; i < tokens.size(); i++)
        tokens[i] =
            int32_t(random_bits(philox_key(1, i), Stream::window, 0, 0, 0) % uint32_t(run.model.vocabulary - 1));
    return Dataset(std::move(tokens));
}

void print(const OpCounts& counts, const std::vector<double>& seconds, int64_t steps) {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    std::printf(
        "{\"path\": \"%s\", \"threads\": %d, \"arithmetic\": %.6g, \"copy\": %.6g, \"stepSeconds\": %.6g, \"ops\": [",
        kernels().name, thread_limit(), measure_arithmetic(), measure_copy(), sorted[sorted.size() / 2]);
    const char* separator = "";
    for (const auto& [name, count] : counts) {
        const double n = double(steps);
        std::printf("%s\n{\"op\": \"%s\", \"calls\": %g, \"seconds\": %.6g, \"operations\": %.6g, \"bytes\": %.6g}",
                    separator, name.c_str(), double(count.calls) / n, count.seconds / n, count.operations / n,
                    count.bytes / n);
        separator = ",";
    }
    std::printf("]}\n");
}

}  // namespace

int main(int count, char** arguments) {
    try {
        const Run run = parse(count, arguments);
        const auto counts = std::make_shared<OpCounts>();
        const auto model = std::make_shared<Model>(
            std::make_unique<TimedBackend>(make_cpu_backend(), counts, rows_of_a_pass(run)), run.model.config(), 1);
        Trainer trainer(model, train_config(run));
        const Dataset dataset = random_tokens(run);
        for (int warmup = 0; warmup < 2; warmup++) trainer.step(dataset);
        counts->clear();
        std::vector<double> seconds;
        for (int64_t step = 0; step < run.steps; step++) seconds.push_back(trainer.step(dataset).seconds);
        print(*counts, seconds, run.steps);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
