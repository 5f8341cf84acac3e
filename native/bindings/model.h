// The model's JavaScript object: NativeModel of lib/native-types.ts.
#pragma once

#include "field.h"
#include "resident.h"

#include <napi.h>

#include <memory>
#include <vector>

namespace dllm::bindings {

class ModelBinding : public Napi::ObjectWrap<ModelBinding> {
public:
    static Napi::Function define(Napi::Env env);
    // createModel(config, device, dtype, source)
    static Napi::Value create(const Napi::CallbackInfo& info);
    // The model behind an argument. Throws TypeMismatch.
    static std::shared_ptr<ModelHandle> unwrap(const Field& field);

    explicit ModelBinding(const Napi::CallbackInfo& info);

private:
    // What parameters() and lossAndGradients() need of the core's table, which is freed on another thread.
    struct State {
        std::shared_ptr<ModelHandle> handle;
        std::vector<Parameter> parameters;
        int64_t parameter_count;
    };

    Napi::Value parameter_count(const Napi::CallbackInfo& info);
    Napi::Value parameters(const Napi::CallbackInfo& info);
    Napi::Value parameter(const Napi::CallbackInfo& info);
    Napi::Value forward(const Napi::CallbackInfo& info);
    Napi::Value loss_and_gradients(const Napi::CallbackInfo& info);
    Napi::Value save(const Napi::CallbackInfo& info);
    Napi::Value dispose(const Napi::CallbackInfo& info);
    Napi::Value disposed(const Napi::CallbackInfo& info);

    State state_;
};

}  // namespace dllm::bindings
