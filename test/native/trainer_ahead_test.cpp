// Batches that are drawn, and loaded, while the device works on the step before.
#include "reference_backend.h"
#include "small_model.h"
#include "small_training.h"
#include "test.h"
#include "trainer.h"

#include <cmath>

using namespace dllm;

TEST(batches_drawn_ahead_are_those_of_their_step_and_dataset) {
    struct Backend : test::ReferenceBackend {
        bool behind;
        explicit Backend(bool runs) : behind(runs) {}
        bool runs_behind() const override { return behind; }
    };
    const auto train = [](bool behind) {
        const auto model = std::make_shared<Model>(std::make_unique<Backend>(behind), small_config(Naming::llama), 3);
        Trainer trainer(model, train_config());
        const Dataset first = periodic_dataset();
        auto second = std::make_unique<Dataset>(std::vector<int32_t>(300, 7));
        std::vector<double> losses;
        const auto step = [&](const Dataset& dataset) { losses.push_back(trainer.step(dataset).loss); };
        step(first), step(first), step(*second), step(first);
        // A dataset in another's memory, and one with no next step.
        step(*second);
        *second = Dataset(std::vector<int32_t>(300, 8));
        step(*second);
        const Dataset short_one(std::vector<int32_t>(5, 1));
        check_throws([&] { step(short_one); }, ErrorCode::data, "5 tokens");
        trainer.skip_to(9);
        step(first), step(first);
        losses.push_back(trainer.step(masked_batch(model->config(), 2, 9)).loss);
        step(first);
        // A step that is not finite is drawn again, and a batch that was drawn ahead outlives one of the caller's.
        const std::vector<float> good = all_weights(*model), bad(good.size(), NAN);
        model->backend().upload(model->weights(), bad.data());
        CHECK(!trainer.step(masked_batch(model->config(), 3, 11)).updated);
        model->backend().upload(model->weights(), good.data());
        step(first);
        model->backend().upload(model->weights(), bad.data());
        CHECK(!trainer.step(first).updated);
        model->backend().upload(model->weights(), good.data());
        step(first);
        for (const float weight : all_weights(*model)) losses.push_back(double(weight));
        return losses;
    };
    check_equal(train(true), train(false), "losses and weights");
}

// A step's batch is on the device before the step begins, unless it has parts.
TEST(batches_drawn_ahead_are_loaded_ahead) {
    struct Backend : test::ReferenceBackend {
        int64_t parameters = 0, uploads = 0, in_step = 0;  // uploads of the step before its update
        bool runs_behind() const override { return true; }
        void upload(Tensor out, const void* host) override {
            uploads += out.dtype == DType::i32;
            ReferenceBackend::upload(out, host);
        }
        void zero(Tensor out) override {
            if (out.count() == parameters) uploads = 0;  // the gradients, as the step begins
            ReferenceBackend::zero(out);
        }
        void global_norm(Tensor out, Tensor x) override {
            in_step = uploads;
            ReferenceBackend::global_norm(out, x);
        }
    };
    for (const int64_t parts : {1, 2}) {
        auto owned = std::make_unique<Backend>();
        Backend& backend = *owned;
        const auto model = std::make_shared<Model>(std::move(owned), small_config(Naming::llama), 3);
        backend.parameters = model->parameters().size;
        TrainConfig config = train_config();
        config.gradient_accumulation = parts;
        Trainer trainer(model, config);
        const Dataset dataset = periodic_dataset();
        trainer.step(dataset);
        CHECK(backend.in_step > 0);
        trainer.step(dataset);
        CHECK((backend.in_step == 0) == (parts == 1));
        trainer.step(masked_batch(model->config(), 4, 16));
        CHECK(backend.in_step > 0);
        trainer.step(dataset);
        CHECK(backend.in_step > 0);
    }
}
