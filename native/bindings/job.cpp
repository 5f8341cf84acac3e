// One call on its way through a model's queue: see job.h.
#include "job.h"

#include "errors.h"

namespace dllm::bindings {

Job::Job(Napi::Env env, JobOwner owner)
    : Task(owner.subject, std::move(owner.stop)), deferred_(Napi::Promise::Deferred::New(env)) {
    if (!owner.object.IsEmpty()) owner_ = Napi::Persistent(owner.object);
}

void Job::settle(const std::exception_ptr& error) {
    const Napi::Env env = deferred_.Env();
    const Napi::HandleScope scope(env);
    if (error) {
        deferred_.Reject(to_js_error(env, error));
        return;
    }
    try {
        deferred_.Resolve(result(env));
    } catch (...) {
        deferred_.Reject(to_js_error(env, std::current_exception()));
    }
}

}  // namespace dllm::bindings
