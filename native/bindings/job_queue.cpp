// A work queue whose owner is a JavaScript environment: see job_queue.h.
#include "job_queue.h"

#include "../error.h"
#include "environment.h"

namespace dllm::bindings {

std::shared_ptr<JobQueue> JobQueue::start(Napi::Env env) {
    const std::shared_ptr<JobQueue> queue(new JobQueue(env));
    // The thread-safe function is destroyed some time after its release, and its context must outlive it.
    queue->waker_ = Waker::New(env, "dllm-native", 0, 1, queue.get(), [queue](Napi::Env, void*, JobQueue*) {});
    queue->waker_.Unref(env);  // an idle queue does not keep the process alive
    try {
        Environment::of(env).queues.insert(queue);
    } catch (...) {
        queue->waker_.Release();
        throw;
    }
    return queue;
}

void JobQueue::require_open() const {
    if (work_.closed()) fail(ErrorCode::disposed, "the model is disposed");
}

Napi::Promise JobQueue::submit(std::unique_ptr<Job> job) {
    const Napi::Promise promise = job->promise();
    work_.submit(std::move(job));
    keep_alive();
    return promise;
}

void JobQueue::discard(const void* subject, const std::string& name) {
    report_memory(subject, 0);
    work_.discard(subject, name);
}

void JobQueue::close() {
    if (work_.closed()) return;
    while (!external_bytes_.empty()) report_memory(external_bytes_.begin()->first, 0);
    work_.close("model");
    keep_alive();
}

Napi::Promise JobQueue::closed() {
    const auto deferred = Napi::Promise::Deferred::New(env_);
    if (work_.ended()) {
        deferred.Resolve(env_.Undefined());
    } else {
        closed_waiters_.push_back(deferred);
        keep_alive();
    }
    return deferred.Promise();
}

void JobQueue::report_memory(const void* subject, int64_t bytes) {
    if (work_.closed()) return;
    int64_t& reported = external_bytes_[subject];
    if (bytes != reported) Napi::MemoryManagement::AdjustExternalMemory(env_, bytes - reported);
    reported = bytes;
    if (bytes == 0) external_bytes_.erase(subject);
}

void JobQueue::abandon() {
    work_.abandon();
    waker_.Release();
    released_ = true;
    closed_waiters_.clear();
}

void JobQueue::on_wake(Napi::Env env, Napi::Function, JobQueue* queue, void*) {
    const bool environment_ended = static_cast<napi_env>(env) == nullptr;
    if (!environment_ended && !queue->released_) queue->settle_finished();
}

void JobQueue::settle_finished() {
    const std::shared_ptr<JobQueue> self = shared_from_this();
    work_.settle_finished();
    keep_alive();
    if (!work_.ended()) return;

    waker_.Release();
    released_ = true;
    Environment::of(env_).queues.erase(self);
    for (const auto& waiter : std::exchange(closed_waiters_, {})) waiter.Resolve(env_.Undefined());
}

// The process stays alive while a promise of this queue is due.
void JobQueue::keep_alive() {
    if (released_) return;
    if (work_.unsettled() > 0 || (work_.closed() && !closed_waiters_.empty())) {
        waker_.Ref(env_);
    } else {
        waker_.Unref(env_);
    }
}

}  // namespace dllm::bindings
