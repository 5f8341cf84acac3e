// One call on its way through a model's queue: see job.h.
#include "job.h"

#include "errors.h"

namespace dllm::bindings {
namespace {

std::exception_ptr disposed_error(const std::string& name) {
    return std::make_exception_ptr(Error(ErrorCode::disposed, "the " + name + " is disposed"));
}

bool is_abort(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const Error& native) {
        return native.code() == ErrorCode::aborted;
    } catch (...) {
        return false;
    }
}

}  // namespace

Job::Job(Napi::Env env, JobOwner owner)
    : deferred_(Napi::Promise::Deferred::New(env)), subject_(owner.subject), stop_(std::move(owner.stop)) {
    if (!owner.object.IsEmpty()) owner_ = Napi::Persistent(owner.object);
}

void Job::execute() noexcept {
    try {
        work();
    } catch (...) {
        error_ = std::current_exception();
    }
}

void Job::dispose(const std::string& name) { error_ = disposed_error(name); }

void Job::interrupt(const std::string& name) {
    // If the flag was set before, its setter decided how the job ends.
    if (stop_ && !stop_->exchange(true)) interrupted_by_ = name;
}

void Job::settle(Napi::Env env) {
    if (!error_) {
        try {
            deferred_.Resolve(result(env));
            return;
        } catch (...) {
            error_ = std::current_exception();
        }
    }
    if (!interrupted_by_.empty() && is_abort(error_)) error_ = disposed_error(interrupted_by_);
    deferred_.Reject(to_js_error(env, error_));
}

}  // namespace dllm::bindings
