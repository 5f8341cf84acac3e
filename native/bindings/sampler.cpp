// The sampler's JavaScript object: see sampler.h.
#include "sampler.h"

#include "convert.h"
#include "environment.h"
#include "model.h"

#include <vector>

namespace dllm::bindings {
namespace {

struct Result {
    std::vector<int32_t> tokens;
    int64_t forward_passes;
};

std::vector<Result> results(const Sampler& sampler) {
    std::vector<Result> all;
    for (const Canvas& canvas : sampler.canvases()) all.push_back({canvas.tokens(), canvas.forward_passes()});
    return all;
}

}  // namespace

Napi::Function SamplerBinding::define(Napi::Env env) {
    return DefineClass(env, "NativeSampler",
                       {
                           InstanceAccessor<&SamplerBinding::done>("done"),
                           InstanceMethod<&SamplerBinding::step>("step"),
                           InstanceMethod<&SamplerBinding::run>("run"),
                           InstanceMethod<&SamplerBinding::abort>("abort"),
                           InstanceMethod<&SamplerBinding::dispose>("dispose"),
                       });
}

SamplerBinding::SamplerBinding(const Napi::CallbackInfo& info)
    : ObjectWrap(info), state_(Environment::take_state<State>(info, "NativeSampler")) {}

Napi::Value SamplerBinding::create(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        const auto model = ModelBinding::unwrap(Field(info[0], "model"));
        const SampleConfig config = to_sample_config(Field(info[1], "config"));
        std::vector<SampleRequest> requests = to_sample_requests(Field(info[2], "requests"));

        struct Created {
            Sampler* sampler;
            bool done;
        };
        auto work = [queue = model->queue.get(), core = model->model, config,
                     requests = std::move(requests)]() mutable -> Created {
            const auto sampler = queue->create<Sampler>(core.lock(), config, std::move(requests));
            return {sampler.get(), sampler->done()};
        };
        auto convert = [model](Napi::Env env, const Created& created) -> Napi::Value {
            const auto sampler = std::make_shared<Resident<Sampler>>(model, created.sampler, "sampler");
            Environment& environment = Environment::of(env);
            return environment.construct(environment.sampler, State{sampler, created.done});
        };
        return model->queue->run({info[0].As<Napi::Object>(), nullptr, nullptr}, std::move(work), std::move(convert));
    });
}

Napi::Value SamplerBinding::done(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), state_.done); }

// step(): Promise<NativeFrame[]>
Napi::Value SamplerBinding::step(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        struct Stepped {
            std::vector<Frame> frames;
            bool done;
        };
        auto work = [](Sampler& sampler) -> Stepped {
            std::vector<Frame> frames = sampler.step();
            return {std::move(frames), sampler.done()};
        };
        return state_.sampler->run(info.This(), std::move(work), [this](Napi::Env env, const Stepped& stepped) {
            state_.done = stepped.done;
            return to_js(env, stepped.frames);
        });
    });
}

// run(): Promise<NativeSampleResult[]>
Napi::Value SamplerBinding::run(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        auto work = [aborted = aborted_](Sampler& sampler) {
            sampler.run(*aborted);
            return results(sampler);
        };
        auto convert = [this](Napi::Env env, const std::vector<Result>& finished) {
            state_.done = true;
            auto samples = Napi::Array::New(env, finished.size());
            for (uint32_t i = 0; i < finished.size(); i++) {
                auto sample = Napi::Object::New(env);
                sample.Set("tokens", to_js(env, finished[i].tokens));
                sample.Set("forwardPasses", double(finished[i].forward_passes));
                samples.Set(i, sample);
            }
            return samples;
        };
        return state_.sampler->run(info.This(), std::move(work), std::move(convert), aborted_);
    });
}

Napi::Value SamplerBinding::abort(const Napi::CallbackInfo& info) {
    *aborted_ = true;
    return info.Env().Undefined();
}

Napi::Value SamplerBinding::dispose(const Napi::CallbackInfo& info) {
    state_.sampler->dispose();
    return info.Env().Undefined();
}

}  // namespace dllm::bindings
