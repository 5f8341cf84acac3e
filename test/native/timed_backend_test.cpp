// The benchmarks' backend that repeats every op to time it: it leaves what each op leaves once, and counts each once.
#include "timed_backend.h"

#include "cuda/backend.h"
#include "environment_setting.h"
#include "sampler.h"
#include "small_model.h"
#include "small_training.h"
#include "test.h"

#include <atomic>
#include <utility>

namespace dllm {
namespace {

struct Results {
    std::vector<double> losses;
    std::vector<float> weights;
    std::vector<int32_t> tokens;
};

Results train_and_sample(std::unique_ptr<Backend> backend, Naming naming) {
    ModelConfig model_config = small_config(naming);
    model_config.layers = 1, model_config.dropout = 0.1f;
    const auto model = std::make_shared<Model>(std::move(backend), model_config, 5);
    TrainConfig config = train_config();
    config.ema_decay = 0.9;
    const Dataset dataset = periodic_dataset();
    Trainer trainer(model, config);
    Results results;
    for (int step = 0; step < 2; step++) results.losses.push_back(trainer.step(dataset).loss);
    results.weights = all_weights(*model);
    const std::vector<int32_t> canvas(16, model_config.mask_token_id);
    Sampler sampler(model, {4, 16, 0.7, Remasking::low_confidence}, {{canvas, 0, 1, 0}});
    sampler.run(std::atomic<bool>(false));
    results.tokens = sampler.canvases().front().tokens();
    return results;
}

int64_t calls_of(const OpCounts& counts, std::string_view op) {
    int64_t calls = 0;
    for (const auto& [name, count] : counts)
        if (name.starts_with(op)) calls += count.calls;
    return calls;
}

void check_timing(DType dtype, Naming naming) {
    const auto make = [&] { return std::make_unique<cuda::CudaBackend>(0, dtype); };
    const auto counts = std::make_shared<OpCounts>();
    const Results expected = train_and_sample(make(), naming);
    const Results found = train_and_sample(std::make_unique<TimedBackend>(make(), counts, 64), naming);
    check_equal(found.losses, expected.losses, "losses");
    check_equal(found.weights, expected.weights, "weights");
    check_equal(found.tokens, expected.tokens, "tokens");
    check_equal(calls_of(*counts, "attention_forward"), 6, "forward passes");  // two steps and four of sampling
    check_equal(calls_of(*counts, "attention_backward"), 2, "backward passes");
    check_equal(calls_of(*counts, "commit_tokens"), 4, "sampling steps");
    for (const auto& [name, count] : *counts)
        CHECK(count.lowest <= count.seconds && count.seconds <= count.highest && count.bytes > 0);
}

TEST(timing_each_op_of_the_emulated_device_leaves_the_same_bits) {
    const EnvironmentSetting setting("DLLM_CUDA_TUNE", "off");  // plans chosen by time differ in the last bits
    check_timing(DType::bf16, Naming::gpt2);
    check_timing(DType::f32, Naming::llama);
}

}  // namespace
}  // namespace dllm
