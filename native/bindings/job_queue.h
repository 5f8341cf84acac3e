// One thread per model: it runs the model's jobs in order, owns the native objects they work on, and has their promises
// settled on the JavaScript thread.
//
// The thread alone creates, uses and frees those objects, so none of them needs a lock. Disposal returns at once: what
// waits in the queue is rejected with ERR_DISPOSED, the running job ends with its own outcome (a sampling run ends
// early, with ERR_DISPOSED), and then the memory is freed. When the environment ends (a worker's termination, the
// natural end of the process) the thread is stopped and joined, and promises that are still open are dropped. A call of
// process.exit() on the main thread does not wait: it ends the process in the middle of a job, so nothing that jobs use
// may be destroyed at exit.
#pragma once

#include "job.h"

#include <napi.h>

#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
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
        using Task = TypedJob<Work, Convert>;
        return submit(std::make_unique<Task>(env_, std::move(owner), std::move(work), std::move(convert)));
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
    // The queue owns the object; a job must not hand the pointer itself to the JavaScript thread.
    template <typename T, typename... Arguments>
    std::shared_ptr<T> create(Arguments&&... arguments) {
        auto object = std::make_shared<T>(std::forward<Arguments>(arguments)...);
        owned_.push_back(object);
        return object;
    }

private:
    using JobList = std::list<std::unique_ptr<Job>>;  // moving a job between lists cannot fail

    static void on_wake(Napi::Env env, Napi::Function, JobQueue* queue, void*);
    using Waker = Napi::TypedThreadSafeFunction<JobQueue, void, on_wake>;

    explicit JobQueue(Napi::Env env) : env_(env) {}
    Napi::Promise submit(std::unique_ptr<Job> job);
    void settle_finished(Napi::Env env);
    void keep_alive();
    void thread_loop();
    // With mutex_ held:
    void reject_jobs(const void* subject, const std::string& name);
    void wake_javascript();

    // On the JavaScript thread only.
    Napi::Env env_;
    Waker waker_;
    std::thread thread_;
    std::map<const void*, int64_t> external_bytes_;
    std::vector<Napi::Promise::Deferred> closed_waiters_;
    int64_t unsettled_ = 0;  // jobs whose promise is open
    bool joined_ = false;

    // On the queue's thread only.
    std::vector<std::shared_ptr<void>> owned_;

    // Under mutex_; closing_ and abandoned_ are written by the JavaScript thread alone, which may read them without.
    std::mutex mutex_;
    std::condition_variable work_arrived_;
    JobList waiting_;
    JobList running_;  // one job at most
    JobList finished_;
    std::vector<const void*> discarded_;
    bool closing_ = false;
    bool abandoned_ = false;
    bool freed_ = false;
};

}  // namespace dllm::bindings
