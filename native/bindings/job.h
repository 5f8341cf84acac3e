// One call on its way through a model's queue: work on the queue's thread, a promise on the JavaScript thread.
#pragma once

#include <napi.h>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace dllm::bindings {

// Whom a job works for.
struct JobOwner {
    Napi::Object object;                      // kept from garbage collection until the job has settled
    const void* subject;                      // the native object it works on; null while that is being created
    std::shared_ptr<std::atomic<bool>> stop;  // setting it ends the running job early; null if nothing can
};

// Made, settled and destroyed on the JavaScript thread; only execute() runs on the queue's.
class Job {
public:
    Job(Napi::Env env, JobOwner owner);
    virtual ~Job() = default;
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

    // Runs the work and keeps its result or its exception.
    void execute() noexcept;
    // Resolves or rejects the promise.
    void settle(Napi::Env env);

    // Gives the job, which has not run, its outcome: ERR_DISPOSED.
    void dispose(const std::string& name);
    // Asks the job, which is running, to end early with ERR_DISPOSED. One that cannot end early keeps its own outcome.
    void interrupt(const std::string& name);

    const void* subject() const { return subject_; }
    // Valid in the handle scope that made the job.
    Napi::Promise promise() const { return deferred_.Promise(); }

private:
    virtual void work() = 0;
    virtual Napi::Value result(Napi::Env env) = 0;

    Napi::Promise::Deferred deferred_;
    Napi::ObjectReference owner_;
    const void* subject_;
    std::shared_ptr<std::atomic<bool>> stop_;
    std::string interrupted_by_;  // what was disposed to end the running job; empty: nothing
    std::exception_ptr error_;
};

// work() -> result on the queue's thread; convert(env, result), or convert(env) without one, on the JavaScript thread.
template <typename Work, typename Convert>
class TypedJob final : public Job {
public:
    TypedJob(Napi::Env env, JobOwner owner, Work work, Convert convert)
        : Job(env, std::move(owner)), work_(std::move(work)), convert_(std::move(convert)) {}

private:
    using Result = std::invoke_result_t<Work&>;
    static constexpr bool HAS_RESULT = !std::is_void_v<Result>;

    void work() override {
        if constexpr (HAS_RESULT) {
            result_.emplace(work_());
        } else {
            work_();
        }
    }

    Napi::Value result(Napi::Env env) override {
        if constexpr (HAS_RESULT) {
            return convert_(env, *result_);
        } else {
            return convert_(env);
        }
    }

    Work work_;
    Convert convert_;
    std::conditional_t<HAS_RESULT, std::optional<Result>, std::monostate> result_;
};

}  // namespace dllm::bindings
