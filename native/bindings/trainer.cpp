// The trainer's JavaScript object: see trainer.h.
#include "trainer.h"

#include "convert.h"
#include "dataset.h"
#include "environment.h"
#include "model.h"

#include <limits>

namespace dllm::bindings {

Napi::Function TrainerBinding::define(Napi::Env env) {
    return DefineClass(env, "NativeTrainer",
                       {
                           InstanceAccessor<&TrainerBinding::completed_steps>("completedSteps"),
                           InstanceMethod<&TrainerBinding::step>("step"),
                           InstanceMethod<&TrainerBinding::step_batch>("stepBatch"),
                           InstanceMethod<&TrainerBinding::skip_to>("skipTo"),
                           InstanceMethod<&TrainerBinding::evaluate>("evaluate"),
                           InstanceMethod<&TrainerBinding::abort>("abort"),
                           InstanceMethod<&TrainerBinding::save>("save"),
                           InstanceMethod<&TrainerBinding::load>("load"),
                           InstanceMethod<&TrainerBinding::load_weights>("loadWeights"),
                           InstanceMethod<&TrainerBinding::save_ema>("saveEma"),
                           InstanceMethod<&TrainerBinding::load_ema>("loadEma"),
                           InstanceMethod<&TrainerBinding::dispose>("dispose"),
                       });
}

TrainerBinding::TrainerBinding(const Napi::CallbackInfo& info)
    : ObjectWrap(info), trainer_(Environment::take_state<State>(info, "NativeTrainer")) {}

Napi::Value TrainerBinding::create(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        const auto model = ModelBinding::unwrap(Field(info[0], "model"));
        const TrainConfig config = to_train_config(Field(info[1], "config"));

        struct Created {
            Trainer* trainer;
            size_t bytes;
        };
        auto work = [queue = model->queue.get(), core = model->model, config]() -> Created {
            const auto trainer = queue->create<Trainer>(core.lock(), config);
            return {trainer.get(), trainer->bytes()};
        };
        auto convert = [model](Napi::Env env, const Created& created) -> Napi::Value {
            const auto state = std::make_shared<Resident<Trainer>>(model, created.trainer, "trainer");
            state->report_memory(int64_t(created.bytes));
            Environment& environment = Environment::of(env);
            return environment.construct(environment.trainer, state);
        };
        return model->queue->run({info[0].As<Napi::Object>(), nullptr, nullptr}, std::move(work), std::move(convert));
    });
}

Napi::Value TrainerBinding::completed_steps(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), double(completed_steps_));
}

template <typename Step>
Napi::Promise TrainerBinding::run_step(const Napi::CallbackInfo& info, Step step) {
    struct Stepped {
        StepStats stats;
        int64_t completed_steps;
        size_t bytes;  // grows with the largest batch
    };
    auto work = [step = std::move(step)](Trainer& trainer) -> Stepped {
        const StepStats stats = step(trainer);
        return {stats, trainer.completed_steps(), trainer.bytes()};
    };
    return trainer_->run(info.This(), std::move(work), [this](Napi::Env env, const Stepped& stepped) {
        completed_steps_ = stepped.completed_steps;
        trainer_->report_memory(int64_t(stepped.bytes));
        return to_js(env, stepped.stats);
    });
}

// step(dataset: NativeDataset): Promise<NativeStepStats>
Napi::Value TrainerBinding::step(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        const auto dataset = DatasetBinding::unwrap(Field(info[0], "dataset"));
        return run_step(info, [dataset](Trainer& trainer) { return trainer.step(*dataset); });
    });
}

// stepBatch(batch: NativeBatch): Promise<NativeStepStats>
Napi::Value TrainerBinding::step_batch(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        Batch batch = to_batch(Field(info[0], "batch"));
        return run_step(info, [batch = std::move(batch)](Trainer& trainer) { return trainer.step(batch); });
    });
}

// evaluate(dataset: NativeDataset): Promise<{nll: number, standardError: number}>
Napi::Value TrainerBinding::evaluate(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        const auto dataset = DatasetBinding::unwrap(Field(info[0], "dataset"));
        aborted_ = std::make_shared<std::atomic<bool>>(false);
        auto work = [dataset, aborted = aborted_](Trainer& trainer) { return trainer.evaluate(*dataset, *aborted); };
        auto convert = [](Napi::Env env, const Evaluation& evaluation) {
            auto result = Napi::Object::New(env);
            result.Set("nll", evaluation.nll);
            result.Set("standardError", evaluation.standard_error);
            return result;
        };
        return trainer_->run(info.This(), std::move(work), std::move(convert), aborted_);
    });
}

Napi::Value TrainerBinding::abort(const Napi::CallbackInfo& info) {
    if (aborted_) *aborted_ = true;
    return info.Env().Undefined();
}

// work(Trainer&) -> nothing; completedSteps follows what it did.
template <typename Work>
Napi::Promise TrainerBinding::run_change(const Napi::CallbackInfo& info, Work work) {
    auto change = [work = std::move(work)](Trainer& trainer) {
        work(trainer);
        return trainer.completed_steps();
    };
    return trainer_->run(info.This(), std::move(change), [this](Napi::Env env, int64_t completed_steps) {
        completed_steps_ = completed_steps;
        return env.Undefined();
    });
}

// skipTo(step: number): Promise<void>
Napi::Value TrainerBinding::skip_to(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        const int64_t step = Field(info[0], "step").integer(0, std::numeric_limits<int32_t>::max());
        return run_change(info, [step](Trainer& trainer) { trainer.skip_to(step); });
    });
}

// work(Trainer&, path) -> nothing, for a method (path: string): Promise<void>
template <typename Work>
Napi::Value TrainerBinding::run_with_path(const Napi::CallbackInfo& info, Work work) {
    return promise_or_rejection(info.Env(), [&] {
        const std::string path = Field(info[0], "path").path_name();
        return run_change(info, [path, work](Trainer& trainer) { work(trainer, path); });
    });
}

Napi::Value TrainerBinding::save(const Napi::CallbackInfo& info) {
    return run_with_path(info, [](Trainer& trainer, const std::string& path) { trainer.save(path); });
}

// load(path: string): Promise<string>
Napi::Value TrainerBinding::load(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        struct Loaded {
            std::string reason;
            int64_t completed_steps;
        };
        auto work = [path = Field(info[0], "path").path_name()](Trainer& trainer) -> Loaded {
            std::string reason = trainer.load(path);
            return {std::move(reason), trainer.completed_steps()};
        };
        return trainer_->run(info.This(), std::move(work), [this](Napi::Env env, const Loaded& loaded) {
            completed_steps_ = loaded.completed_steps;
            return Napi::String::New(env, loaded.reason);
        });
    });
}

Napi::Value TrainerBinding::load_weights(const Napi::CallbackInfo& info) {
    return run_with_path(info, [](Trainer& trainer, const std::string& path) { trainer.model().load(path); });
}

Napi::Value TrainerBinding::save_ema(const Napi::CallbackInfo& info) {
    return run_with_path(info, [](Trainer& trainer, const std::string& path) { trainer.save_ema(path); });
}

Napi::Value TrainerBinding::load_ema(const Napi::CallbackInfo& info) {
    return run_with_path(info, [](Trainer& trainer, const std::string& path) { trainer.load_ema(path); });
}

Napi::Value TrainerBinding::dispose(const Napi::CallbackInfo& info) {
    trainer_->dispose();
    return info.Env().Undefined();
}

}  // namespace dllm::bindings
