// Sampling on a CUDA backend, against the CPU's: see device_checks.h.
#include "device_checks.h"
#include "random_matrix.h"
#include "sampler.h"
#include "small_model.h"
#include "small_training.h"
#include "test.h"

#include <atomic>

namespace dllm {
namespace {

using Texts = std::vector<std::vector<int32_t>>;

constexpr uint64_t SEED = 3;  // of the weights

SampleRequest request(int64_t prompt, uint64_t seed, const ModelConfig& config) {
    SampleRequest request{{}, prompt, seed, uint64_t(prompt)};
    for (int64_t i = 0; i < prompt; i++) request.tokens.push_back(int32_t(i % 6));
    request.tokens.resize(size_t(prompt + 8), config.mask_token_id);
    return request;
}

Texts texts(const Sampler& sampler) {
    Texts all;
    for (const Canvas& canvas : sampler.canvases()) all.push_back(canvas.tokens());
    return all;
}

Texts sample(const std::shared_ptr<Model>& model, const SampleConfig& config,
             const std::vector<SampleRequest>& requests) {
    Sampler sampler(model, config, requests);
    sampler.run(std::atomic<bool>(false));
    return texts(sampler);
}

// The CPU's model of which every weight is off by a part in ten thousand, and so are the logits.
std::shared_ptr<Model> disturbed(Naming naming, uint64_t seed) {
    const std::shared_ptr<Model> model = small_model(make_cpu_backend(), naming, SEED);
    std::vector<float> weights = all_weights(*model);
    test::Random random(seed);
    for (float& weight : weights) weight *= float(1 + 1e-4 * random.normal());
    model->backend().upload(model->weights(), weights.data());
    model->round_weights();
    return model;
}

// One request of each length of prompt whose text no disturbance changes: its every decision has a margin that is wide
// beside what two backends differ by.
std::vector<SampleRequest> with_margins(Naming naming, const SampleConfig& config) {
    constexpr int SEEDS = 8, DISTURBANCES = 4;
    std::vector<SampleRequest> candidates, chosen;
    const std::shared_ptr<Model> model = small_model(make_cpu_backend(), naming, SEED);
    for (const int64_t prompt : {1, 4, 9})
        for (uint64_t seed = 0; seed < SEEDS; seed++) candidates.push_back(request(prompt, seed, model->config()));
    const Texts expected = sample(model, config, candidates);
    std::vector<bool> stable(candidates.size(), true);
    for (uint64_t seed = 0; seed < DISTURBANCES; seed++) {
        const Texts found = sample(disturbed(naming, seed), config, candidates);
        for (size_t i = 0; i < stable.size(); i++) stable[i] = stable[i] && found[i] == expected[i];
    }
    for (size_t i = 0; i < candidates.size(); i++)
        if (stable[i] && (chosen.empty() || chosen.back().prompt_length != candidates[i].prompt_length))
            chosen.push_back(candidates[i]);
    check_equal(chosen.size(), size_t(3), "prompts with margins");
    return chosen;
}

}  // namespace

void check_samples(const MakeBackend& make) {
    const SampleConfig configs[] = {{8, 4, 0, Remasking::low_confidence},
                                    {8, 4, 1, Remasking::low_confidence},
                                    {4, 8, 1, Remasking::random, {}, 3, 0.9},
                                    {2, 8, 1, Remasking::margin, {}, 5},
                                    {4, 8, 1, Remasking::entropy, {}, 0, 0.7},
                                    {0, 8, 0, Remasking::low_confidence, {CommitKind::threshold, 0.2f}},
                                    {0, 4, 1, Remasking::margin, {CommitKind::factor, 1.4f}}};
    for (const Naming naming : {Naming::gpt2, Naming::llama}) {
        const std::shared_ptr<Model> cpu = small_model(make_cpu_backend(), naming, SEED);
        const std::shared_ptr<Model> gpu = small_model(make(DType::f32), naming, SEED);
        for (const SampleConfig& config : configs) {
            const std::vector<SampleRequest> requests = with_margins(naming, config);
            const Texts expected = sample(cpu, config, requests);
            CHECK(sample(gpu, config, requests) == expected);
            Sampler stepwise(gpu, config, requests);
            while (!stepwise.done()) stepwise.step();
            CHECK(texts(stepwise) == expected);
        }
        CHECK(gpu->backend().recording_counts().replayed > 0);
    }
}

}  // namespace dllm
