// The trainer's JavaScript object: NativeTrainer of lib/native-types.ts.
#pragma once

#include "../trainer.h"
#include "resident.h"

#include <napi.h>

#include <atomic>
#include <cstdint>
#include <memory>

namespace dllm::bindings {

class TrainerBinding : public Napi::ObjectWrap<TrainerBinding> {
public:
    static Napi::Function define(Napi::Env env);
    // createTrainer(model, config)
    static Napi::Value create(const Napi::CallbackInfo& info);

    explicit TrainerBinding(const Napi::CallbackInfo& info);

private:
    using State = std::shared_ptr<Resident<Trainer>>;

    Napi::Value completed_steps(const Napi::CallbackInfo& info);
    Napi::Value step(const Napi::CallbackInfo& info);
    Napi::Value step_batch(const Napi::CallbackInfo& info);
    Napi::Value skip_to(const Napi::CallbackInfo& info);
    Napi::Value evaluate(const Napi::CallbackInfo& info);
    Napi::Value abort(const Napi::CallbackInfo& info);
    Napi::Value save(const Napi::CallbackInfo& info);
    Napi::Value load(const Napi::CallbackInfo& info);
    Napi::Value load_weights(const Napi::CallbackInfo& info);
    Napi::Value save_ema(const Napi::CallbackInfo& info);
    Napi::Value load_ema(const Napi::CallbackInfo& info);
    Napi::Value dispose(const Napi::CallbackInfo& info);

    template <typename Step>
    Napi::Promise run_step(const Napi::CallbackInfo& info, Step step);
    template <typename Work>
    Napi::Promise run_change(const Napi::CallbackInfo& info, Work work);
    template <typename Work>
    Napi::Value run_with_path(const Napi::CallbackInfo& info, Work work);

    State trainer_;
    std::shared_ptr<std::atomic<bool>> aborted_;  // of the last evaluation
    int64_t completed_steps_ = 0;                 // of the last job that settled
};

}  // namespace dllm::bindings
