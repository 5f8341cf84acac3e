// A thread that runs tasks in order and owns the native objects they work on, for one other thread: its owner.
//
// The queue's thread alone creates, uses and frees those objects, so none of them needs a lock. The owner alone submits
// tasks, gets their outcomes back, and destroys them. Discarding an object and closing the queue return at once: tasks
// that wait end with ERR_DISPOSED, the running one ends with its own outcome (one that can be stopped ends early, with
// ERR_DISPOSED), and then the memory is freed. Abandoning waits for the running task and drops every outcome.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace dllm {

// Made, settled and destroyed by the queue's owner; only work() runs on the queue's thread.
class Task {
public:
    // subject: the object it works on; null while that is being created. stop: setting it ends the running work early
    // with ERR_ABORTED; null if nothing can.
    Task(const void* subject, std::shared_ptr<std::atomic<bool>> stop) : subject_(subject), stop_(std::move(stop)) {}
    virtual ~Task() = default;
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;

private:
    friend class WorkQueue;

    virtual void work() = 0;
    // error: what work() threw, or why it did not run to its end; null if it did.
    virtual void settle(const std::exception_ptr& error) = 0;

    void execute() noexcept;
    void interrupt(const std::exception_ptr& reason);
    std::exception_ptr outcome() const;

    const void* const subject_;
    const std::shared_ptr<std::atomic<bool>> stop_;
    std::exception_ptr error_;
    std::exception_ptr interruption_;  // why the queue stopped the running work; null if it did not
};

class WorkQueue {
public:
    // wake() announces, from any thread, that settle_finished() has something to do. It must not call the queue.
    explicit WorkQueue(std::function<void()> wake);
    ~WorkQueue() { abandon(); }
    WorkQueue(const WorkQueue&) = delete;
    WorkQueue& operator=(const WorkQueue&) = delete;

    // ---- for the owner ---------------------------------------------------------------------------
    // Not once the queue is closed.
    void submit(std::unique_ptr<Task> task);
    // Frees one object after the running task; the tasks on it are ended. `name` is for their errors.
    void discard(const void* subject, const std::string& name);
    // Frees everything after the running task and ends the thread.
    void close(const std::string& name);
    // Ends the thread after the running task, without another wake().
    void abandon();

    // Settles the finished tasks, in the order they finished in, and joins the thread if it has ended.
    void settle_finished();
    int64_t unsettled() const { return unsettled_; }
    bool closed() const { return closing_; }
    // True once the thread has ended: nothing is left to free or to settle.
    bool ended() const { return !thread_.joinable(); }

    // ---- for tasks, while they work ----------------------------------------------------------------
    // The queue owns the object; a task must not hand the pointer itself to the owner.
    template <typename T, typename... Arguments>
    std::shared_ptr<T> create(Arguments&&... arguments) {
        auto object = std::make_shared<T>(std::forward<Arguments>(arguments)...);
        owned_.push_back(object);
        return object;
    }

private:
    using TaskList = std::list<std::unique_ptr<Task>>;  // moving a task between lists cannot fail

    void thread_loop();
    // With mutex_ held; of one object, or of all when subject is null.
    void end_tasks(const void* subject, const std::exception_ptr& reason);

    const std::function<void()> wake_;

    // For the owner only.
    int64_t unsettled_ = 0;

    // On the queue's thread only.
    std::vector<std::shared_ptr<void>> owned_;

    // Under mutex_; closing_ and abandoned_ are written by the owner alone, which may read them without.
    std::mutex mutex_;
    std::condition_variable work_arrived_;
    TaskList waiting_;
    TaskList running_;  // one task at most
    TaskList finished_;
    std::vector<const void*> discarded_;
    bool closing_ = false;
    bool abandoned_ = false;
    bool freed_ = false;

    std::thread thread_;  // last: it uses all of the above from its start
};

}  // namespace dllm
