// One thread per model: see job_queue.h.
#include "job_queue.h"

#include "../error.h"
#include "environment.h"

#include <algorithm>

namespace dllm::bindings {

// ---- on the JavaScript thread --------------------------------------------------------------------

std::shared_ptr<JobQueue> JobQueue::start(Napi::Env env) {
    const std::shared_ptr<JobQueue> queue(new JobQueue(env));
    // The thread-safe function is destroyed some time after its release, and its context must outlive it.
    queue->waker_ = Waker::New(env, "dllm-native", 0, 1, queue.get(), [queue](Napi::Env, void*, JobQueue*) {});
    queue->waker_.Unref(env);  // an idle queue does not keep the process alive
    auto& queues = Environment::of(env).queues;
    try {
        queues.insert(queue);
        queue->thread_ = std::thread(&JobQueue::thread_loop, queue.get());
    } catch (...) {
        queues.erase(queue);
        queue->waker_.Release();
        throw;
    }
    return queue;
}

void JobQueue::require_open() const {
    if (closing_) fail(ErrorCode::disposed, "the model is disposed");
}

Napi::Promise JobQueue::submit(std::unique_ptr<Job> job) {
    const Napi::Promise promise = job->promise();
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(job));
    }
    work_arrived_.notify_one();
    unsettled_++;
    keep_alive();
    return promise;
}

void JobQueue::discard(const void* subject, const std::string& name) {
    if (closing_) return;
    report_memory(subject, 0);
    const std::lock_guard lock(mutex_);
    reject_jobs(subject, name);
    discarded_.push_back(subject);
    work_arrived_.notify_one();
}

void JobQueue::close() {
    if (closing_) return;
    while (!external_bytes_.empty()) report_memory(external_bytes_.begin()->first, 0);
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
        reject_jobs(nullptr, "model");
        work_arrived_.notify_one();
    }
    keep_alive();
}

Napi::Promise JobQueue::closed() {
    const auto deferred = Napi::Promise::Deferred::New(env_);
    if (joined_) {
        deferred.Resolve(env_.Undefined());
    } else {
        closed_waiters_.push_back(deferred);
        keep_alive();
    }
    return deferred.Promise();
}

void JobQueue::report_memory(const void* subject, int64_t bytes) {
    if (closing_) return;
    int64_t& reported = external_bytes_[subject];
    if (bytes != reported) Napi::MemoryManagement::AdjustExternalMemory(env_, bytes - reported);
    reported = bytes;
    if (bytes == 0) external_bytes_.erase(subject);
}

void JobQueue::abandon() {
    if (joined_) return;
    {
        const std::lock_guard lock(mutex_);
        closing_ = abandoned_ = true;
        for (const auto& job : running_) job->interrupt("model");
        work_arrived_.notify_one();
    }
    thread_.join();
    joined_ = true;
    waker_.Release();
    waiting_.clear();
    finished_.clear();
    closed_waiters_.clear();
}

void JobQueue::on_wake(Napi::Env env, Napi::Function, JobQueue* queue, void*) {
    const bool environment_ended = static_cast<napi_env>(env) == nullptr;
    if (!environment_ended) queue->settle_finished(env);
}

void JobQueue::settle_finished(Napi::Env env) {
    const std::shared_ptr<JobQueue> self = shared_from_this();
    JobList job;
    bool freed = false;
    for (;;) {
        {
            const std::lock_guard lock(mutex_);
            freed = freed_;
            if (finished_.empty()) break;
            job.splice(job.begin(), finished_, finished_.begin());
        }
        unsettled_--;
        const Napi::HandleScope scope(env);
        job.front()->settle(env);
        job.clear();
    }
    keep_alive();
    if (!freed || joined_) return;

    thread_.join();  // it has freed everything and is returning
    joined_ = true;
    waker_.Release();
    Environment::of(env).queues.erase(self);
    for (const auto& waiter : std::exchange(closed_waiters_, {})) waiter.Resolve(env.Undefined());
}

// The process stays alive while a promise of this queue is due.
void JobQueue::keep_alive() {
    if (joined_) return;
    if (unsettled_ > 0 || (closing_ && !closed_waiters_.empty())) {
        waker_.Ref(env_);
    } else {
        waker_.Unref(env_);
    }
}

// Of one native object, or of all when subject is null.
void JobQueue::reject_jobs(const void* subject, const std::string& name) {
    const auto affected = [subject](const Job& job) { return subject == nullptr || job.subject() == subject; };
    for (const auto& job : running_)
        if (affected(*job)) job->interrupt(name);
    for (auto next = waiting_.begin(); next != waiting_.end();) {
        const auto job = next++;
        if (!affected(**job)) continue;
        (*job)->dispose(name);
        finished_.splice(finished_.end(), waiting_, job);
    }
    if (!finished_.empty()) wake_javascript();
}

// ---- on the queue's thread -----------------------------------------------------------------------

void JobQueue::thread_loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
        work_arrived_.wait(lock, [this] { return closing_ || !waiting_.empty() || !discarded_.empty(); });
        if (!discarded_.empty()) {
            const std::vector<const void*> discarded = std::exchange(discarded_, {});
            lock.unlock();
            std::erase_if(owned_, [&](const std::shared_ptr<void>& object) {
                return std::find(discarded.begin(), discarded.end(), object.get()) != discarded.end();
            });
            lock.lock();
        } else if (closing_) {
            break;
        } else {
            running_.splice(running_.begin(), waiting_, waiting_.begin());
            Job& job = *running_.front();
            lock.unlock();
            job.execute();
            lock.lock();
            finished_.splice(finished_.end(), running_);
            wake_javascript();
        }
    }
    lock.unlock();
    owned_.clear();
    lock.lock();
    freed_ = true;
    wake_javascript();
}

void JobQueue::wake_javascript() {
    if (!abandoned_) waker_.NonBlockingCall();
}

}  // namespace dllm::bindings
