// Trains a model of a given shape and prints, as JSON, what each op of a step costs beside the machine's limits:
//   dllm_kernels gpt2|llama LAYERS HEADS WIDTH CONTEXT VOCABULARY BATCH STEPS
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

struct Shape {
    bool gpt2;
    int64_t layers, heads, width, context, vocabulary, batch, steps;
};

Shape parse(int count, char** arguments) {
    if (count != 9) throw std::runtime_error("usage: dllm_kernels gpt2|llama LAYERS HEADS WIDTH CONTEXT VOCABULARY BATCH STEPS");
    auto number = [&](int index) { return std::stoll(arguments[index]); };
    return {std::string(arguments[1]) == "gpt2", number(2), number(3), number(4), number(5), number(6), number(7),
            number(8)};
}

ModelConfig model_config(const Shape& shape) {
    ModelConfig config{};
    config.naming = shape.gpt2 ? Naming::gpt2 : Naming::llama;
    config.layers = shape.layers, config.heads = config.kv_heads = shape.heads, config.width = shape.width;
    config.mlp_width = 4 * shape.width;
    config.vocab_size = shape.vocabulary, config.context_length = shape.context;
    config.mask_token_id = int32_t(shape.vocabulary - 1);
    config.norm = shape.gpt2 ? NormConfig{NormKind::layer, 1e-5f, true} : NormConfig{NormKind::rms, 1e-5f, false};
    config.final_norm = config.norm;
    config.positions = shape.gpt2 ? PositionKind::learned : PositionKind::rotary;
    config.rotary_theta = 1e4;
    config.qkv_bias = config.attention_output_bias = config.mlp_bias = config.tied_head = true;
    config.mlp = Activation::gelu;
    config.query_key_norm = !shape.gpt2, config.query_key_norm_eps = 1e-6f;
    config.init = InitKind::normal, config.init_std = 0.02f;
    return config;
}

TrainConfig train_config(const Shape& shape) {
    TrainConfig config{};
    config.batch_size = shape.batch, config.gradient_accumulation = 1, config.context_length = shape.context;
    config.objective = {ObjectiveKind::masked, 1e-3, 0};
    config.optimizer = {0.9f, 0.99f, 1e-8f, 0.1f, 1.0f};
    config.learning_rate = {LearningRateSchedule::constant, 1e-3, 1e-4, 1, 1, 1000};
    config.eval_batches = 1;
    return config;
}

Dataset random_tokens(const Shape& shape) {
    std::vector<int32_t> tokens(size_t(64 * shape.context));
    for (size_t i = 0; i < tokens.size(); i++)
        tokens[i] = int32_t(random_bits(philox_key(1, i), Stream::window, 0, 0, 0) % uint32_t(shape.vocabulary - 1));
    return Dataset(std::move(tokens));
}

void print(const OpCounts& counts, const std::vector<double>& seconds, int64_t steps) {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    std::printf("{\"path\": \"%s\", \"threads\": %d, \"arithmetic\": %.6g, \"copy\": %.6g, \"stepSeconds\": %.6g, \"ops\": [",
                kernels().name, thread_limit(), measure_arithmetic(), measure_copy(), sorted[sorted.size() / 2]);
    const char* separator = "";
    for (const auto& [name, count] : counts) {
        const double n = double(steps);
        std::printf("%s\n{\"op\": \"%s\", \"calls\": %g, \"seconds\": %.6g, \"operations\": %.6g, \"bytes\": %.6g}", separator,
                    name.c_str(), double(count.calls) / n, count.seconds / n, count.operations / n, count.bytes / n);
        separator = ",";
    }
    std::printf("]}\n");
}

}  // namespace

int main(int count, char** arguments) {
    try {
        const Shape shape = parse(count, arguments);
        const auto counts = std::make_shared<OpCounts>();
        const auto model = std::make_shared<Model>(std::make_unique<TimedBackend>(make_cpu_backend(), counts, shape.batch * shape.context),
                                                   model_config(shape), 1);
        Trainer trainer(model, train_config(shape));
        const Dataset dataset = random_tokens(shape);
        for (int warmup = 0; warmup < 2; warmup++) trainer.step(dataset);
        counts->clear();
        std::vector<double> seconds;
        for (int64_t step = 0; step < shape.steps; step++) seconds.push_back(trainer.step(dataset).seconds);
        print(*counts, seconds, shape.steps);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
