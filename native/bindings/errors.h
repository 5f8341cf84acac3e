// From native exceptions to JavaScript errors with a `code`.
#pragma once

#include "../error.h"

#include <napi.h>

#include <exception>
#include <string>
#include <utility>

namespace dllm::bindings {

// An argument of the wrong JavaScript type: becomes a TypeError with code ERR_CONFIG.
class TypeMismatch : public Error {
public:
    explicit TypeMismatch(const std::string& message) : Error(ErrorCode::config, message) {}
};

// The JavaScript error for a native one: `code` is that of a dllm::Error, ERR_OUT_OF_MEMORY for std::bad_alloc and
// ERR_NATIVE for anything else. What JavaScript itself threw passes through.
Napi::Value to_js_error(Napi::Env env, const std::exception_ptr& error);

// A promise that is already rejected with that error.
Napi::Promise rejection(Napi::Env env, const std::exception_ptr& error);

// Runs a method that returns a promise: what it throws becomes a rejection.
template <typename Body>
Napi::Value promise_or_rejection(Napi::Env env, Body body) {
    try {
        return body();
    } catch (...) {
        return rejection(env, std::current_exception());
    }
}

// Runs a synchronous method: what it throws becomes a JavaScript exception with a code.
template <typename Body>
auto result_or_exception(Napi::Env env, Body body) {
    try {
        return body();
    } catch (const Napi::Error&) {
        throw;
    } catch (...) {
        throw Napi::Error(env, to_js_error(env, std::current_exception()));
    }
}

}  // namespace dllm::bindings
