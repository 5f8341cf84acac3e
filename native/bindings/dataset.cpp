// The dataset's JavaScript object: see dataset.h.
#include "dataset.h"

#include "environment.h"
#include "errors.h"

#include <string>

namespace dllm::bindings {
namespace {

constexpr napi_type_tag TYPE_TAG{0x7be0945a1dc84f23, 0xa61c38f2e7d90b54};

}  // namespace

Napi::Function DatasetBinding::define(Napi::Env env) {
    return DefineClass(env, "NativeDataset", {InstanceAccessor<&DatasetBinding::size>("size")});
}

DatasetBinding::DatasetBinding(const Napi::CallbackInfo& info)
    : ObjectWrap(info), dataset_(Environment::take_state<State>(info, "NativeDataset")) {
    Value().TypeTag(&TYPE_TAG);
}

std::shared_ptr<const Dataset> DatasetBinding::unwrap(const Field& field) {
    if (!field.value().IsObject() || !field.value().As<Napi::Object>().CheckTypeTag(&TYPE_TAG))
        field.reject_type("a dataset made by openDataset() or datasetFromTokens()");
    return Unwrap(field.value().As<Napi::Object>())->dataset_;
}

Napi::Value DatasetBinding::open(const Napi::CallbackInfo& info) {
    return result_or_exception(info.Env(), [&]() -> Napi::Value {
        const std::string path = Field(info[0], "path").path_name();
        const Field token_bytes(info[1], "tokenBytes");
        const auto bytes = int(token_bytes.integer(2, 4));
        if (bytes == 3) token_bytes.reject_value("2 or 4");
        Environment& environment = Environment::of(info.Env());
        return environment.construct(environment.dataset, State(std::make_shared<Dataset>(path, bytes)));
    });
}

Napi::Value DatasetBinding::from_tokens(const Napi::CallbackInfo& info) {
    return result_or_exception(info.Env(), [&]() -> Napi::Value {
        Environment& environment = Environment::of(info.Env());
        return environment.construct(environment.dataset,
                                     State(std::make_shared<Dataset>(Field(info[0], "tokens").int32s())));
    });
}

Napi::Value DatasetBinding::size(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), double(dataset_->size()));
}

}  // namespace dllm::bindings
