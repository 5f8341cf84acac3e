// Results to JavaScript.
#include "convert.h"

#include "../error.h"
#include "environment.h"

#include <algorithm>
#include <string>

namespace dllm::bindings {
namespace {

// Made by JavaScript's constructor: Node-API's own aborts the process when the memory is not to be had.
Napi::ArrayBuffer allocate(Napi::Env env, size_t bytes) {
    try {
        const Napi::Value buffer = Environment::of(env).array_buffer.New({Napi::Number::New(env, double(bytes))});
        return buffer.As<Napi::ArrayBuffer>();
    } catch (const Napi::Error& error) {
        fail(ErrorCode::out_of_memory,
             "a result of " + std::to_string(bytes) + " bytes does not fit in memory: " + error.Message());
    }
}

template <typename T>
Napi::TypedArrayOf<T> copy(Napi::Env env, std::span<const T> values) {
    auto array = Napi::TypedArrayOf<T>::New(env, values.size(), allocate(env, values.size_bytes()), 0);
    std::copy(values.begin(), values.end(), array.Data());
    return array;
}

// `items` as an array of what convert(item) makes of them.
template <typename Item, typename Convert>
Napi::Array to_array(Napi::Env env, const std::vector<Item>& items, Convert convert) {
    const auto array = Napi::Array::New(env, items.size());
    for (size_t i = 0; i < items.size(); i++) {
        const Napi::HandleScope scope(env);
        array.Set(uint32_t(i), convert(items[i]));
    }
    return array;
}

}  // namespace

Napi::Value to_js(Napi::Env env, std::span<const float> values) { return copy(env, values); }

Napi::Value to_js(Napi::Env env, std::span<const int32_t> values) { return copy(env, values); }

Napi::Value to_js(Napi::Env env, const std::vector<Parameter>& parameters) {
    return to_array(env, parameters, [env](const Parameter& parameter) {
        auto object = Napi::Object::New(env);
        object.Set("name", parameter.name);
        object.Set("shape",
                   to_array(env, parameter.shape, [env](int64_t n) { return Napi::Number::New(env, double(n)); }));
        return object;
    });
}

Napi::Value to_js(Napi::Env env, const StepStats& stats) {
    auto object = Napi::Object::New(env);
    object.Set("step", double(stats.step));
    object.Set("loss", stats.loss);
    object.Set("gradientNorm", stats.gradient_norm);
    object.Set("updated", stats.updated);
    object.Set("learningRate", stats.learning_rate);
    object.Set("tokens", double(stats.tokens));
    object.Set("seconds", stats.seconds);
    return object;
}

Napi::Value to_js(Napi::Env env, const std::vector<Frame>& frames) {
    return to_array(env, frames, [env](const Frame& frame) {
        auto object = Napi::Object::New(env);
        object.Set("step", double(frame.step));
        object.Set("canvas", to_js(env, frame.canvas));
        object.Set("positions", to_js(env, frame.positions));
        object.Set("confidences", to_js(env, frame.confidences));
        return object;
    });
}

}  // namespace dllm::bindings
