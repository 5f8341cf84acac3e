// Fills in a canvas and prints, as JSON, how long the forward pass and everything else of each sampling step took:
//   dllm_sampling LAYERS HEADS WIDTH VOCABULARY LENGTH STEPS TEMPERATURE ROUNDS
#include "../kernels/bench_model.h"
#include "../kernels/timed_backend.h"
#include "cpu/thread_pool.h"
#include "model.h"
#include "sampler.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <vector>

using namespace dllm;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

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

struct Split {
    double forward, rest;
};

Split fill_in(const std::shared_ptr<Model>& model, OpCounts& counts, int64_t length, int64_t steps,
              double temperature) {
    const std::vector<int32_t> canvas(size_t(length), model->config().mask_token_id);
    Sampler sampler(model, {steps, length, temperature, Remasking::low_confidence}, {{canvas, 0, 1, 0}});
    counts.clear();
    const double begin = now();
    while (!sampler.done()) sampler.step();
    const double seconds = now() - begin, forward = forward_seconds(counts);
    return {forward / double(steps), (seconds - forward) / double(steps)};
}

}  // namespace

int main(int count, char** arguments) {
    try {
        if (count != 9)
            throw std::runtime_error(
                "usage: dllm_sampling LAYERS HEADS WIDTH VOCABULARY LENGTH STEPS TEMPERATURE ROUNDS");
        const auto number = [&](int index) { return std::stoll(arguments[index]); };
        const int64_t length = number(5), steps = number(6), rounds = number(8);
        const double temperature = std::stod(arguments[7]);
        const BenchModel shape{true, number(1), number(2), number(3), length, number(4)};
        const auto counts = std::make_shared<OpCounts>();
        const auto model = std::make_shared<Model>(std::make_unique<TimedBackend>(make_cpu_backend(), counts, length),
                                                   shape.config(), 1);
        fill_in(model, *counts, length, 1, temperature);
        std::printf("{\"path\": \"%s\", \"threads\": %d, \"rounds\": [", model->backend().name(), thread_limit());
        for (int64_t round = 0; round < rounds; round++) {
            const Split split = fill_in(model, *counts, length, steps, temperature);
            std::printf("%s{\"forward\": %.6g, \"rest\": %.6g}", round == 0 ? "" : ", ", split.forward, split.rest);
        }
        std::printf("]}\n");
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
