// Fills in a canvas and prints, as JSON, how long its sampling steps took:
//   dllm_sampling cpu|cuda:N float32|bfloat16 LAYERS HEADS WIDTH VOCABULARY LENGTH STEPS TEMPERATURE ROUNDS
// On a CPU the forward pass of a step and everything else; on a GPU, which is not waited for in between, a step of a
// whole run, and each step of one whose tokens are asked for after every step.
#include "bench_device.h"
#include "bench_model.h"
#include "clock.h"
#include "model.h"
#include "sampler.h"
#include "timed_backend.h"

#include <atomic>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace dllm;

namespace {

// Of the transformer and its head; choosing tokens is the sampler's own work.
double forward_seconds(const OpCounts& counts) {
    double seconds = 0;
    for (const auto& [name, count] : counts) {
        const bool chooses =
            name.starts_with("masked_rows") || name.starts_with("predict_tokens") || name.starts_with("commit_tokens");
        if (!chooses) seconds += count.seconds;
    }
    return seconds;
}

struct Run {
    std::string device, dtype;
    BenchModel shape;
    int64_t steps;
    double temperature;
    int64_t rounds;
};

Run parse(int count, char** arguments) {
    if (count != 11)
        throw std::runtime_error(
            "usage: dllm_sampling cpu|cuda:N float32|bfloat16 LAYERS HEADS WIDTH VOCABULARY LENGTH STEPS TEMPERATURE "
            "ROUNDS");
    const auto number = [&](int index) { return std::stoll(arguments[index]); };
    const BenchModel shape{true, number(3), number(4), number(5), number(7), number(6)};
    return {arguments[1], arguments[2], shape, number(8), std::stod(arguments[9]), number(10)};
}

Sampler make_sampler(const std::shared_ptr<Model>& model, const Run& run, int64_t steps) {
    const std::vector<int32_t> canvas(size_t(run.shape.context), model->config().mask_token_id);
    return Sampler(model, {steps, run.shape.context, run.temperature, Remasking::low_confidence}, {{canvas, 0, 1, 0}});
}

// The seconds of each step.
std::vector<double> fill_in(const std::shared_ptr<Model>& model, const Run& run, int64_t steps) {
    Sampler sampler = make_sampler(model, run, steps);
    std::vector<double> seconds;
    while (!sampler.done()) {
        const double begin = now();
        sampler.step();
        seconds.push_back(now() - begin);
    }
    return seconds;
}

void print_cpu(const BenchDevice& device, const Run& run) {
    const auto counts = std::make_shared<OpCounts>();
    const auto model = std::make_shared<Model>(std::make_unique<TimedBackend>(device.make(), counts, run.shape.context),
                                               run.shape.config(), 1);
    fill_in(model, run, 1);
    for (int64_t round = 0; round < run.rounds; round++) {
        counts->clear();
        double seconds = 0;
        for (const double step : fill_in(model, run, run.steps)) seconds += step;
        const double forward = forward_seconds(*counts), steps = double(run.steps);
        std::printf("%s{\"forward\": %.6g, \"rest\": %.6g}", round == 0 ? "" : ", ", forward / steps,
                    (seconds - forward) / steps);
    }
    std::printf("]");
}

void print_gpu(const BenchDevice& device, const Run& run) {
    const auto model = std::make_shared<Model>(device.make(), run.shape.config(), 1);
    const std::atomic<bool> aborted = false;
    for (int64_t round = -1; round < run.rounds; round++) {  // the first one chooses how products are computed
        Sampler sampler = make_sampler(model, run, run.steps);
        const double begin = now();
        sampler.run(aborted);
        const double seconds = now() - begin;
        const std::vector<double> steps = fill_in(model, run, run.steps);
        if (round < 0) continue;
        std::printf("%s{\"run\": %.6g, \"steps\": [", round == 0 ? "" : ", ", seconds / double(run.steps));
        for (size_t i = 0; i < steps.size(); i++) std::printf("%s%.6g", i == 0 ? "" : ", ", steps[i]);
        std::printf("]}");
    }
    std::printf("], ");
    print_recordings("recordings", model->backend().recording_counts());
}

}  // namespace

int main(int count, char** arguments) {
    try {
        const Run run = parse(count, arguments);
        const BenchDevice device(run.device, run.dtype);
        std::printf("{\"path\": \"%s\", \"threads\": %d, \"rounds\": [", device.path().c_str(), device.threads());
        if (run.device == "cpu")
            print_cpu(device, run);
        else
            print_gpu(device, run);
        std::printf("}\n");
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
