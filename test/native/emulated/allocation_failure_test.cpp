// Every allocation, handle and launch fails once: a typed error, nothing leaked, and the next call gives the same bits
// as if nothing had failed.
#include "../../../native/cuda/backend.h"
#include "fixture.h"
#include "sampler.h"
#include "small_model.h"
#include "small_training.h"
#include "trainer.h"

#include <algorithm>
#include <atomic>
#include <functional>

namespace dllm {
namespace {

using namespace emulated;

constexpr DType DTYPES[] = {DType::f32, DType::bf16};

// What the device holds.
struct Held {
    int64_t allocations = live_allocations(), handles = live_handles();

    bool operator==(const Held&) const = default;
};

struct Planted {
    void (*plant)(int64_t);
    int64_t (*count)();
};

constexpr Planted ALLOCATION{fail_allocation, allocation_count}, HANDLE{fail_handle, handle_count};

[[noreturn]] void give_up(const std::string& what) { throw test::Failure{what, std::source_location::current()}; }

// Runs the action while its n-th allocation or handle fails; whether it asks for that many. The error must say why.
bool fails_at(const Planted& planted, int64_t n, const std::function<void()>& action) {
    const int64_t before = planted.count();
    planted.plant(n);
    try {
        action();
        planted.plant(0);
        if (planted.count() - before >= n) give_up(test::join("failure ", n, " went unnoticed"));
        return false;
    } catch (const Error& error) {
        const std::string what = error.what();
        const char* named = planted.plant == HANDLE.plant ? " failed: " : " bytes of ";
        const bool says_why = what.find(named) != what.npos && what.find(" bytes are free") != what.npos;
        if (error.code() != ErrorCode::out_of_memory || !says_why) give_up(test::join("failure ", n, ": ", what));
        return true;
    }
}

ModelConfig model_config() {
    ModelConfig config = small_config(Naming::llama);
    config.layers = 1;
    return config;
}

std::shared_ptr<Model> make_model(DType dtype) {
    return std::make_shared<Model>(std::make_unique<cuda::CudaBackend>(0, dtype), model_config(), 3);
}

TEST(emulated_models_survive_a_failure_while_they_are_made) {
    const FreshDevice fresh;
    const Held before;
    for (const DType dtype : DTYPES) {
        for (const Planted& planted : {ALLOCATION, HANDLE}) {
            int64_t failures = 0;
            while (fails_at(planted, failures + 1, [&] { make_model(dtype); })) {
                CHECK(Held() == before);
                failures++;
            }
            CHECK(failures >= 3);
        }
    }
    CHECK(Held() == before);
}

// What a user does with a model for the first time, and everything that comes of it.
struct Use {
    const char* name;
    std::function<std::vector<float>(const std::shared_ptr<Model>& model, Trainer& trainer)> run;
};

const std::vector<Use>& uses() {
    static const Dataset dataset = periodic_dataset();
    static const std::vector<Use> all = {
        {"step",
         [](const auto& model, Trainer& trainer) {
             const double loss = trainer.step(dataset).loss;
             check_equal(trainer.completed_steps(), int64_t(1), "completed steps");
             std::vector<float> found = all_weights(*model);
             found.push_back(float(loss));
             return found;
         }},
        {"evaluate",
         [](const auto&, Trainer& trainer) { return std::vector<float>{float(trainer.evaluate(dataset, false).nll)}; }},
        {"sample",
         [](const auto& model, Trainer&) {
             const int32_t mask = model->config().mask_token_id;
             Sampler sampler(model, {4, 4, 1.0, Remasking::low_confidence},
                             {{{1, 2, mask, mask, mask, mask}, 2, 5, 0}});
             sampler.run(std::atomic<bool>(false));
             const std::vector<int32_t>& tokens = sampler.canvases()[0].tokens();
             return std::vector<float>(tokens.begin(), tokens.end());
         }},
    };
    return all;
}

TrainConfig training() {
    TrainConfig config = train_config();
    config.ema_decay = 0.9;
    return config;
}

// Handles count once the model is gone: a call that comes again may keep a graph besides.
struct Outcome {
    std::vector<float> found;
    int64_t allocations;

    bool operator==(const Outcome&) const = default;
};

Outcome use(const Use& how, const std::shared_ptr<Model>& model, Trainer& trainer) {
    std::vector<float> found = how.run(model, trainer);
    return {std::move(found), live_allocations()};
}

// Fails the use at its 1st, (1 + stride)th … allocation or handle, each time on a new model.
void check_recovery(const Use& how, DType dtype, const Planted& planted, int64_t stride) {
    const Held before;
    const auto on_new_model = [&](const auto& function) {
        const std::shared_ptr<Model> model = make_model(dtype);
        Trainer trainer(model, training());
        return function(model, trainer);
    };
    const Outcome expected =
        on_new_model([&](const auto& model, Trainer& trainer) { return use(how, model, trainer); });
    int64_t failures = 0;
    for (bool reached = true; reached; failures++) {
        on_new_model([&](const auto& model, Trainer& trainer) {
            const int64_t n = 1 + failures * stride;
            reached = fails_at(planted, n, [&] { how.run(model, trainer); });
            if (!reached) return;
            if (!(use(how, model, trainer) == expected))
                give_up(test::join(how.name, " differs after failure ", n, " of an earlier one"));
        });
        CHECK(Held() == before);
    }
    CHECK(failures > 1);
}

TEST(emulated_models_survive_a_failed_allocation) {
    const FreshDevice fresh;
    for (const DType dtype : DTYPES)
        for (const Use& how : uses()) check_recovery(how, dtype, ALLOCATION, 1);
}

// A product takes six handles, so a stride of seven meets each kind of them.
TEST(emulated_models_survive_a_failed_handle) {
    const FreshDevice fresh;
    for (const DType dtype : DTYPES)
        for (const Use& how : uses()) check_recovery(how, dtype, HANDLE, 7);
}

// CUDA never forgives a failed kernel: until the process ends every call is refused, and says so.
TEST(emulated_models_report_a_dead_device) {
    const FreshDevice fresh;
    const Held before;
    for (const Use& how : uses()) {
        Outcome expected;
        int64_t launches = 0;
        {
            const std::shared_ptr<Model> model = make_model(DType::bf16);
            Trainer trainer(model, training());
            launches = launch_count();
            expected = use(how, model, trainer);
            launches = launch_count() - launches;
        }
        for (const int64_t n :
             {int64_t(1), int64_t(2), int64_t(5), launches / 3, launches / 2, launches - 1, launches}) {
            {
                const std::shared_ptr<Model> model = make_model(DType::bf16);
                Trainer trainer(model, training());
                fail_launch(n);
                for (int attempt = 0; attempt < 2; attempt++)
                    check_throws([&] { use(how, model, trainer); }, ErrorCode::device, " failed: ");
                check_throws([&] { make_model(DType::bf16); }, ErrorCode::device, "cudaErrorIllegalAddress");
            }
            CHECK(Held() == before);
            FreshDevice::renew();
        }
        const std::shared_ptr<Model> model = make_model(DType::bf16);
        Trainer trainer(model, training());
        CHECK(use(how, model, trainer) == expected);
    }
}

}  // namespace
}  // namespace dllm
