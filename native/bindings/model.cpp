// The model's JavaScript object: see model.h.
#include "model.h"

#include "convert.h"
#include "devices.h"
#include "environment.h"

#include <optional>
#include <span>

namespace dllm::bindings {
namespace {

constexpr napi_type_tag TYPE_TAG{0x3f1c6a0d52e94b7a, 0x9d84e1b7c5203f66};

struct Source {
    std::optional<uint64_t> seed;
    std::string path;
};

Source to_source(const Field& field) {
    const Field seed = field["seed"];
    if (!seed.value().IsUndefined()) return {seed.seed(), {}};
    return {std::nullopt, field["path"].path_name()};
}

}  // namespace

Napi::Function ModelBinding::define(Napi::Env env) {
    return DefineClass(env, "NativeModel",
                       {
                           InstanceAccessor<&ModelBinding::parameter_count>("parameterCount"),
                           InstanceMethod<&ModelBinding::parameters>("parameters"),
                           InstanceMethod<&ModelBinding::parameter>("parameter"),
                           InstanceMethod<&ModelBinding::forward>("forward"),
                           InstanceMethod<&ModelBinding::loss_and_gradients>("lossAndGradients"),
                           InstanceMethod<&ModelBinding::save>("save"),
                           InstanceMethod<&ModelBinding::dispose>("dispose"),
                           InstanceMethod<&ModelBinding::disposed>("disposed"),
                       });
}

ModelBinding::ModelBinding(const Napi::CallbackInfo& info)
    : ObjectWrap(info), state_(Environment::take_state<State>(info, "NativeModel")) {
    Value().TypeTag(&TYPE_TAG);
}

std::shared_ptr<ModelHandle> ModelBinding::unwrap(const Field& field) {
    if (!field.value().IsObject() || !field.value().As<Napi::Object>().CheckTypeTag(&TYPE_TAG))
        field.reject_type("a model made by createModel()");
    return Unwrap(field.value().As<Napi::Object>())->state_.handle;
}

Napi::Value ModelBinding::create(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        const ModelConfig config = to_model_config(Field(info[0], "config"));
        const std::string device = Field(info[1], "device").string();
        const DType dtype = Field(info[2], "dtype").one_of<DType>({{"float32", DType::f32}, {"bfloat16", DType::bf16}});
        const Source source = to_source(Field(info[3], "source"));
        const auto handle = std::make_shared<ModelHandle>(JobQueue::start(info.Env()));

        struct Created {
            std::weak_ptr<Model> model;
            std::vector<Parameter> parameters;
            int64_t parameter_count;
            size_t bytes;
        };
        auto work = [queue = handle->queue.get(), config, device, dtype, source]() -> Created {
            auto backend = make_backend(device, dtype);
            const auto model = source.seed ? queue->create<Model>(std::move(backend), config, *source.seed)
                                           : queue->create<Model>(std::move(backend), config, source.path);
            const ParameterTable& table = model->parameters();
            return {model, table.parameters, table.parameter_count, model->bytes()};
        };
        auto convert = [handle](Napi::Env env, Created& created) -> Napi::Value {
            handle->model = created.model;
            handle->queue->report_memory(handle.get(), int64_t(created.bytes));
            Environment& environment = Environment::of(env);
            return environment.construct(environment.model,
                                         State{handle, std::move(created.parameters), created.parameter_count});
        };
        return handle->queue->run({{}, nullptr, nullptr}, std::move(work), std::move(convert));
    });
}

Napi::Value ModelBinding::parameter_count(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), double(state_.parameter_count));
}

Napi::Value ModelBinding::parameters(const Napi::CallbackInfo& info) {
    return result_or_exception(info.Env(), [&] {
        state_.handle->queue->require_open();
        return to_js(info.Env(), state_.parameters);
    });
}

// parameter(name: string): Promise<Float32Array>
Napi::Value ModelBinding::parameter(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        return state_.handle->run(
            info.This(), [name = Field(info[0], "name").string()](Model& model) { return model.parameter(name); },
            [](Napi::Env env, const std::vector<float>& values) { return to_js(env, values); });
    });
}

// forward(batch: NativeBatch): Promise<{logits: Float32Array, shape: [B, T, V]}>
Napi::Value ModelBinding::forward(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        Batch batch = to_batch(Field(info[0], "batch"));
        struct Logits {
            std::vector<float> values;
            int64_t batch, length, vocab_size;
        };
        auto work = [batch = std::move(batch)](Model& model) -> Logits {
            std::vector<float> values = model.forward(batch);
            const int64_t vocab_size = model.config().vocab_size;
            const int64_t length = int64_t(values.size()) / (batch.batch * vocab_size);  // T/2 for block diffusion
            return {std::move(values), batch.batch, length, vocab_size};
        };
        return state_.handle->run(info.This(), std::move(work), [](Napi::Env env, const Logits& logits) {
            auto shape = Napi::Array::New(env, 3);
            shape.Set(0u, double(logits.batch));
            shape.Set(1u, double(logits.length));
            shape.Set(2u, double(logits.vocab_size));
            auto result = Napi::Object::New(env);
            result.Set("logits", to_js(env, logits.values));
            result.Set("shape", shape);
            return result;
        });
    });
}

// lossAndGradients(batch: NativeBatch): Promise<{loss: number, gradients: Float32Array[]}>
Napi::Value ModelBinding::loss_and_gradients(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        auto work = [batch = to_batch(Field(info[0], "batch"))](Model& model) {
            return model.loss_and_gradients(batch);
        };
        // The job keeps this object, and with it the table, from garbage collection.
        auto convert = [this](Napi::Env env, const Model::LossAndGradients& computed) {
            auto gradients = Napi::Array::New(env, state_.parameters.size());
            for (uint32_t i = 0; i < state_.parameters.size(); i++) {
                const Parameter& parameter = state_.parameters[i];
                const std::span<const float> all = computed.gradients;
                gradients.Set(i, to_js(env, all.subspan(size_t(parameter.offset), size_t(parameter.count))));
            }
            auto result = Napi::Object::New(env);
            result.Set("loss", double(computed.loss));
            result.Set("gradients", gradients);
            return result;
        };
        return state_.handle->run(info.This(), std::move(work), std::move(convert));
    });
}

// save(path: string): Promise<void>
Napi::Value ModelBinding::save(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        return state_.handle->run(
            info.This(), [path = Field(info[0], "path").path_name()](Model& model) { model.save(path); },
            [](Napi::Env env) { return env.Undefined(); });
    });
}

Napi::Value ModelBinding::dispose(const Napi::CallbackInfo& info) {
    state_.handle->queue->close();
    return info.Env().Undefined();
}

Napi::Value ModelBinding::disposed(const Napi::CallbackInfo&) { return state_.handle->queue->closed(); }

}  // namespace dllm::bindings
