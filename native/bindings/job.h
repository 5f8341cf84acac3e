// One call on its way through a model's queue: work on the queue's thread, a promise on the JavaScript thread.
#pragma once

#include "../work_queue.h"

#include <napi.h>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace dllm::bindings {

// Whom a job works for.
struct JobOwner {
    Napi::Object object;                      // kept from garbage collection until the job has settled
    const void* subject;                      // as in Task
    std::shared_ptr<std::atomic<bool>> stop;  // as in Task
};

class Job : public Task {
public:
    Job(Napi::Env env, JobOwner owner);

    // Valid in the handle scope that made the job.
    Napi::Promise promise() const { return deferred_.Promise(); }

private:
    void settle(const std::exception_ptr& error) override;
    virtual Napi::Value result(Napi::Env env) = 0;

    Napi::Promise::Deferred deferred_;
    Napi::ObjectReference owner_;
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
