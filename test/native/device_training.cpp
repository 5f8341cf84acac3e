// Training and resuming on a CUDA backend, against the CPU's: see device_checks.h.
#include "device_checks.h"
#include "small_model.h"
#include "small_training.h"
#include "test.h"
#include "trainer.h"

#include <future>
#include <string>

namespace dllm {
namespace {

constexpr int STEPS = 20;

// Rotary positions, RMS norm, grouped queries and their norm, or learned positions, layer norm and biases; each with
// dropout, a moving average and a step in two parts. Without rotation the gradient of the keys' biases is zero but for
// rounding, which AdamW would blow up to whole updates if epsilon were smaller.
TrainConfig full_config(ObjectiveKind objective) {
    TrainConfig config = train_config();
    config.optimizer.epsilon = 1e-5f;
    config.objective.kind = objective;
    config.ema_decay = 0.9, config.gradient_accumulation = 2;
    return config;
}

struct Run {
    std::vector<double> losses, norms;
    std::vector<float> weights;
    double nll;  // of the average
};

Run train(Trainer& trainer, const Model& model) {
    const Dataset dataset = periodic_dataset();
    Run run;
    for (int step = 0; step < STEPS; step++) {
        const StepStats stats = trainer.step(dataset);
        CHECK(stats.updated);
        run.losses.push_back(stats.loss);
        run.norms.push_back(stats.gradient_norm);
    }
    run.weights = all_weights(model);
    run.nll = trainer.evaluate(dataset, false).nll;
    return run;
}

Run train(const std::shared_ptr<Model>& model, const TrainConfig& config) {
    Trainer trainer(model, config);
    return train(trainer, *model);
}

}  // namespace

void check_same_training(const MakeBackend& make, Naming naming, ObjectiveKind objective) {
    const TrainConfig config = full_config(objective);
    const Run expected = train(small_model(make_cpu_backend(), naming, 3, 0.1f), config);
    const Run found = train(small_model(make(DType::f32), naming, 3, 0.1f), config);
    CHECK(expected.losses.back() < expected.losses.front());
    check_close(found.losses, expected.losses, 1e-4, "losses");
    check_close(found.norms, expected.norms, 1e-4, "gradient norms");
    check_close(found.weights, expected.weights, 1e-4, "weights");
    check_close(found.nll / expected.nll, 1.0, 1e-4, "bound of the average against the CPU's");
}

// The same draws decide what is masked and dropped, so the two losses of a step differ by what rounding to bfloat16
// does: to a pass, about 1e-2 of the logits (see device_vectors.cpp), which are of size one, and to the weights of 20
// updates, whose float32 masters lose nothing.
void check_training_in_bfloat16(const MakeBackend& make) {
    for (const Naming naming : {Naming::gpt2, Naming::llama}) {
        const TrainConfig config = full_config(ObjectiveKind::masked);
        const Run expected = train(small_model(make(DType::f32), naming, 3, 0.1f), config);
        const Run found = train(small_model(make(DType::bf16), naming, 3, 0.1f), config);
        for (int step = 0; step < STEPS; step++)
            check_close(found.losses[size_t(step)], expected.losses[size_t(step)], 2e-2, "loss");
        check_close(found.nll, expected.nll, 1e-2, "bound of the average");
    }
}

void check_bit_equal_resume(const MakeBackend& make) {
    const Dataset dataset = periodic_dataset();
    for (const DType dtype : {DType::f32, DType::bf16}) {
        const TemporaryFolder folder;
        const TrainConfig config = full_config(ObjectiveKind::masked);
        const std::shared_ptr<Model> model = small_model(make(dtype), Naming::llama, 3, 0.1f);
        Trainer trainer(model, config);
        for (int step = 0; step < 3; step++) trainer.step(dataset);
        model->save(folder.file("model"));
        trainer.save(folder.file("optimizer"));
        trainer.save_ema(folder.file("ema"));
        for (int step = 0; step < 3; step++) trainer.step(dataset);

        const auto other = std::make_shared<Model>(make(dtype), model->config(), folder.file("model"));
        Trainer resumed(other, config);
        resumed.load(folder.file("optimizer"));
        resumed.load_ema(folder.file("ema"));
        for (int step = 0; step < 3; step++) resumed.step(dataset);
        CHECK(all_weights(*other) == all_weights(*model));
        CHECK(resumed.evaluate(dataset, false).nll == trainer.evaluate(dataset, false).nll);
    }
}

void check_request_beyond_all_memory(const MakeBackend& make) {
    const std::shared_ptr<Model> model = small_model(make(DType::f32), Naming::llama, 3, 0.1f);
    const TrainConfig config = full_config(ObjectiveKind::masked);
    constexpr size_t BYTES = size_t(1) << 50;
    const auto check_refused = [&](Backend& backend) {
        check_throws([&] { backend.allocate(BYTES); }, ErrorCode::out_of_memory,
                     "cannot allocate " + std::to_string(BYTES) + " bytes of device memory");
        check_throws([&] { backend.allocate(BYTES); }, ErrorCode::out_of_memory, " bytes are free");
    };
    const std::shared_ptr<Model> spared = small_model(make(DType::f32), Naming::llama, 3, 0.1f);
    const Run expected = train(spared, config);
    check_refused(model->backend());
    const Run found = train(model, config);
    check_refused(model->backend());
    check_equal(found.losses, expected.losses, "losses");
    check_equal(found.weights, expected.weights, "weights");
}

namespace {

// All that is left of a device's memory, in blocks that halve down to the smallest that an allocator tells apart.
class Ballast {
public:
    explicit Ballast(Backend& backend) : backend_(backend) {
        for (size_t bytes = size_t(1) << 40; bytes >= 256; bytes /= 2)
            while (take(bytes)) {
            }
    }
    ~Ballast() {
        for (void* block : blocks_) backend_.release(block);
    }
    Ballast(const Ballast&) = delete;
    Ballast& operator=(const Ballast&) = delete;

private:
    bool take(size_t bytes) {
        try {
            blocks_.push_back(backend_.allocate(bytes));
            return true;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::out_of_memory) throw;
            return false;
        }
    }

    Backend& backend_;
    std::vector<void*> blocks_;
};

}  // namespace

void check_full_device(const MakeBackend& make) {
    const TrainConfig config = full_config(ObjectiveKind::masked);
    const Run expected = train(small_model(make(DType::f32), Naming::llama, 3, 0.1f), config);
    const std::shared_ptr<Model> model = small_model(make(DType::f32), Naming::llama, 3, 0.1f);
    Trainer trainer(model, config);
    {
        const Ballast ballast(model->backend());
        const Dataset dataset = periodic_dataset();
        check_throws([&] { trainer.step(dataset); }, ErrorCode::out_of_memory, " bytes of device memory; ");
        check_throws([&] { trainer.step(dataset); }, ErrorCode::out_of_memory, " bytes are free");
    }
    const Run found = train(trainer, *model);
    check_equal(found.losses, expected.losses, "losses");
    check_equal(found.weights, expected.weights, "weights");
}

void check_two_models(const MakeBackend& make) {
    const TrainConfig config = full_config(ObjectiveKind::masked);
    const auto run = [&](DType dtype, Naming naming) {
        return train(small_model(make(dtype), naming, 3, 0.1f), config);
    };
    const Run gpt2 = run(DType::f32, Naming::gpt2), llama = run(DType::bf16, Naming::llama);
    auto other = std::async(std::launch::async, run, DType::bf16, Naming::llama);
    const Run gpt2_beside = run(DType::f32, Naming::gpt2), llama_beside = other.get();
    check_equal(gpt2_beside.losses, gpt2.losses, "losses of GPT-2");
    check_equal(gpt2_beside.weights, gpt2.weights, "weights of GPT-2");
    check_equal(llama_beside.losses, llama.losses, "losses of Llama");
    check_equal(llama_beside.weights, llama.weights, "weights of Llama");
}

}  // namespace dllm
