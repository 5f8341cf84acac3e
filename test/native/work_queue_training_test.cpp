// Training on three work queues at once, whose loops take turns in the one thread pool, with disposal at any moment.
#include "cpu/backend.h"
#include "repeats.h"
#include "sampler.h"
#include "small_model.h"
#include "small_training.h"
#include "test.h"
#include "thread_limit.h"
#include "trainer.h"
#include "work_queue.h"
#include "work_queue_owner.h"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace dllm;

namespace {

constexpr int STEPS = 3;

TrainConfig stress_config() {
    TrainConfig config = train_config();
    config.batch_size = 12, config.context_length = 32;
    config.eval_batches = 1000;  // takes seconds, unless it is stopped
    return config;
}

std::vector<float> weights_trained_alone(Naming naming, const Dataset& dataset) {
    const auto model = small_model(naming);
    Trainer trainer(model, stress_config());
    for (int i = 0; i < STEPS; i++) trainer.step(dataset);
    return all_weights(*model);
}

// A model and its trainer as the bindings keep them: made, used and freed on the queue's thread.
class TrainedModel {
public:
    TrainedModel(Naming naming, const Dataset& dataset) : dataset_(dataset) {
        owner_.submit("create", [this, naming] {
            model_ = owner_.queue.create<Model>(make_cpu_backend(), small_config(naming), uint64_t(1));
            trainer_ = owner_.queue.create<Trainer>(model_.lock(), stress_config()).get();
        });
    }

    // The weights after STEPS steps.
    std::vector<float> train() {
        std::vector<float> weights;
        wait();
        for (int i = 0; i < STEPS; i++) submit_step();
        owner_.submit("weights", [&] { weights = all_weights(*model_.lock()); });
        wait();
        return weights;
    }

    // Ends everything at a random moment of a step, an evaluation or a sampling run, with others waiting behind it.
    void end_at_work(Draws& draws) {
        wait();
        const Stop stop = make_stop();
        submit_step();
        owner_.submit(
            "evaluate", [this, stop] { trainer_->evaluate(dataset_, *stop); }, trainer_, stop);
        submit_step();
        spin(draws.below(4000));
        if (draws.chance(2)) owner_.queue.discard(trainer_, "trainer");
        if (draws.chance(2)) {
            const Stop aborted = make_stop();
            owner_.submit(
                "sample", [this, aborted] { sample(*aborted); }, nullptr, aborted);
            spin(draws.below(2000));
        }
        if (draws.chance(2)) {
            owner_.queue.close("model");
            if (!owner_.settle_to_the_end()) throw std::runtime_error("a wake was lost");
        }  // else the destructor abandons the queue
    }

private:
    void submit_step() {
        owner_.submit(
            "step", [this] { trainer_->step(dataset_); }, trainer_);
    }

    void sample(const std::atomic<bool>& aborted) {
        const ModelConfig& config = model_.lock()->config();
        SampleRequest request{};
        request.tokens.assign(size_t(config.context_length), config.mask_token_id);
        SampleConfig sampling{};
        sampling.steps = sampling.block_length = config.context_length;
        Sampler(model_.lock(), sampling, {request}).run(aborted);
    }

    void wait() {
        if (!owner_.settle_all()) throw std::runtime_error("a wake was lost");
        for (const std::string& outcome : owner_.outcomes)
            if (!outcome.ends_with(": done")) throw std::runtime_error(outcome);
    }

    const Dataset& dataset_;
    std::weak_ptr<Model> model_;
    Trainer* trainer_ = nullptr;
    QueueOwner owner_;
};

}  // namespace

TEST(work_queues_train_side_by_side_with_the_same_bits_as_alone) {
    constexpr Naming NAMINGS[] = {Naming::gpt2, Naming::llama, Naming::nanollada};
    const int rounds = repeats(15);
    const size_t allocated_before = cpu_allocated_bytes();
    const ThreadLimit restored;
    const Dataset dataset = periodic_dataset();
    std::vector<std::vector<float>> expected;
    set_thread_limit(1);
    for (const Naming naming : NAMINGS) expected.push_back(weights_trained_alone(naming, dataset));

    set_thread_limit(4);  // more than the cores of a small machine
    run_owners(3, [&](int owner, Problems& problems) {
        Draws draws{uint64_t(owner)};
        for (int round = 0; round < rounds; round++) {
            TrainedModel trained(NAMINGS[owner], dataset);
            if (trained.train() != expected[size_t(owner)])
                problems.push_back("owner " + std::to_string(owner) + ", round " + std::to_string(round) +
                                   ": other weights than alone");
            trained.end_at_work(draws);
        }
    });
    check_equal(cpu_allocated_bytes(), allocated_before, "allocated bytes");
}
