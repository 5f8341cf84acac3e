// A work queue whose owner is a JavaScript environment: its tasks settle promises on the JavaScript thread.
//
// One for each model. When the environment ends (a worker's termination, the natural end of the process) the queue is
// abandoned, and promises that are still open are dropped. A call of process.exit() on the main thread does not wait:
// it ends the process in the middle of a job, so nothing that jobs use may be destroyed at exit.
#pragma once

#include "../work_queue.h"
#include "job.h"

#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace dllm::bindings {

class JobQueue : public std::enable_shared_from_this<JobQueue> {
public:
    // Starts the thread. The environment keeps the queue until the thread has ended.
    static std::shared_ptr<JobQueue> start(Napi::Env env);
    JobQueue(const JobQueue&) = delete;
    JobQueue& operator=(const JobQueue&) = delete;

    // ---- on the JavaScript thread ----------------------------------------------------------------
    // Queues a job; see TypedJob. Throws ERR_DISPOSED.
    template <typename Work, typename Convert>
    Napi::Promise run(JobOwner owner, Work work, Convert convert) {
        require_open();
        using Typed = TypedJob<Work, Convert>;
        return submit(std::make_unique<Typed>(env_, std::move(owner), std::move(work), std::move(convert)));
    }
    // Throws ERR_DISPOSED once the queue is closed.
    void require_open() const;
    // Frees one native object after the running job; its queued jobs are rejected. `name` is for their errors.
    void discard(const void* subject, const std::string& name);
    // Frees everything after the running job and ends the thread.
    void close();
    // A promise that resolves once close() has freed everything.
    Napi::Promise closed();
    // Tells the garbage collector that a native object holds this many bytes.
    void report_memory(const void* subject, int64_t bytes);
    // The environment is ending: waits for the running job and touches no JavaScript from then on.
    void abandon();

    // ---- on the queue's thread, from inside a job ------------------------------------------------
    // As WorkQueue::create.
    template <typename T, typename... Arguments>
    std::shared_ptr<T> create(Arguments&&... arguments) {
        return work_.create<T>(std::forward<Arguments>(arguments)...);
    }

private:
    static void on_wake(Napi::Env env, Napi::Function, JobQueue* queue, void*);
    using Waker = Napi::TypedThreadSafeFunction<JobQueue, void, on_wake>;

    explicit JobQueue(Napi::Env env) : env_(env), work_([this] { waker_.NonBlockingCall(); }) {}
    Napi::Promise submit(std::unique_ptr<Job> job);
    void settle_finished();
    void keep_alive();

    Napi::Env env_;
    Waker waker_;  // set once, before the first job
    bool released_ = false;
    std::map<const void*, int64_t> external_bytes_;
    std::vector<Napi::Promise::Deferred> closed_waiters_;
    WorkQueue work_;
};

}  // namespace dllm::bindings
