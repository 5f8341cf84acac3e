// From native exceptions to JavaScript errors: see errors.h.
#include "errors.h"

#include <new>

namespace dllm::bindings {
namespace {

template <typename JsError>
Napi::Value with_code(Napi::Env env, const char* code, const std::string& message) {
    const JsError error = JsError::New(env, message);
    Napi::Object value = error.Value();
    value.Set("code", code);
    return value;
}

}  // namespace

Napi::Value to_js_error(Napi::Env env, const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const TypeMismatch& mismatch) {
        return with_code<Napi::TypeError>(env, error_code_name(mismatch.code()), mismatch.what());
    } catch (const Error& native) {
        return with_code<Napi::Error>(env, error_code_name(native.code()), native.what());
    } catch (const std::bad_alloc&) {
        return with_code<Napi::Error>(env, error_code_name(ErrorCode::out_of_memory), "host memory is exhausted");
    } catch (const Napi::Error& thrown) {
        return thrown.Value();
    } catch (const std::exception& other) {
        return with_code<Napi::Error>(env, error_code_name(ErrorCode::native), other.what());
    } catch (...) {
        return with_code<Napi::Error>(env, error_code_name(ErrorCode::native),
                                      "native code threw an unknown exception");
    }
}

Napi::Promise rejection(Napi::Env env, const std::exception_ptr& error) {
    const auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Reject(to_js_error(env, error));
    return deferred.Promise();
}

}  // namespace dllm::bindings
