// The sampler's JavaScript object: NativeSampler of lib/native-types.ts.
#pragma once

#include "../sampler.h"
#include "resident.h"

#include <napi.h>

#include <atomic>
#include <memory>

namespace dllm::bindings {

class SamplerBinding : public Napi::ObjectWrap<SamplerBinding> {
public:
    static Napi::Function define(Napi::Env env);
    // createSampler(model, config, requests)
    static Napi::Value create(const Napi::CallbackInfo& info);

    explicit SamplerBinding(const Napi::CallbackInfo& info);

private:
    struct State {
        std::shared_ptr<Resident<Sampler>> sampler;
        bool done;  // as of the last job that settled
    };

    Napi::Value done(const Napi::CallbackInfo& info);
    Napi::Value step(const Napi::CallbackInfo& info);
    Napi::Value run(const Napi::CallbackInfo& info);
    Napi::Value abort(const Napi::CallbackInfo& info);
    Napi::Value dispose(const Napi::CallbackInfo& info);

    State state_;
    // Read between forward passes, so that a run ends without waiting for its turn in the queue.
    const std::shared_ptr<std::atomic<bool>> aborted_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace dllm::bindings
