// The dataset's JavaScript object: NativeDataset of lib/native-types.ts.
#pragma once

#include "../dataset.h"
#include "field.h"

#include <napi.h>

#include <memory>

namespace dllm::bindings {

class DatasetBinding : public Napi::ObjectWrap<DatasetBinding> {
public:
    static Napi::Function define(Napi::Env env);
    // openDataset(path, tokenBytes)
    static Napi::Value open(const Napi::CallbackInfo& info);
    // datasetFromTokens(tokens)
    static Napi::Value from_tokens(const Napi::CallbackInfo& info);
    // The dataset behind an argument; it is constant, so every queue may read it. Throws TypeMismatch.
    static std::shared_ptr<const Dataset> unwrap(const Field& field);

    explicit DatasetBinding(const Napi::CallbackInfo& info);

private:
    using State = std::shared_ptr<const Dataset>;

    Napi::Value size(const Napi::CallbackInfo& info);

    State dataset_;
};

}  // namespace dllm::bindings
