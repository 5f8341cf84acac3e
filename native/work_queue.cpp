// A thread that runs tasks in order: see work_queue.h.
#include "work_queue.h"

#include "error.h"

#include <algorithm>

namespace dllm {
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

void Task::execute() noexcept {
    try {
        work();
    } catch (...) {
        error_ = std::current_exception();
    }
}

void Task::interrupt(const std::exception_ptr& reason) {
    // If the flag was set before, its setter decided how the work ends.
    if (stop_ && !stop_->exchange(true)) interruption_ = reason;
}

std::exception_ptr Task::outcome() const {
    return interruption_ && error_ && is_abort(error_) ? interruption_ : error_;
}

// ---- for the owner -------------------------------------------------------------------------------

WorkQueue::WorkQueue(std::function<void()> wake) : wake_(std::move(wake)), thread_(&WorkQueue::thread_loop, this) {}

void WorkQueue::submit(std::unique_ptr<Task> task) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(task));
    }
    unsettled_++;
    work_arrived_.notify_one();
}

void WorkQueue::discard(const void* subject, const std::string& name) {
    if (closing_) return;
    const std::exception_ptr reason = disposed_error(name);
    const std::lock_guard lock(mutex_);
    discarded_.push_back(subject);
    end_tasks(subject, reason);
    work_arrived_.notify_one();
}

void WorkQueue::close(const std::string& name) {
    if (closing_) return;
    const std::exception_ptr reason = disposed_error(name);
    const std::lock_guard lock(mutex_);
    closing_ = true;
    end_tasks(nullptr, reason);
    work_arrived_.notify_one();
}

void WorkQueue::abandon() {
    if (ended()) return;
    {
        const std::lock_guard lock(mutex_);
        closing_ = abandoned_ = true;
        for (const auto& task : running_) task->interrupt(nullptr);
        work_arrived_.notify_one();
    }
    thread_.join();
    waiting_.clear();
    finished_.clear();
    unsettled_ = 0;
}

void WorkQueue::settle_finished() {
    for (;;) {
        TaskList task;
        bool freed = false;
        {
            const std::lock_guard lock(mutex_);
            if (!finished_.empty()) task.splice(task.begin(), finished_, finished_.begin());
            freed = freed_;
        }
        if (task.empty()) {
            if (freed && !ended()) thread_.join();  // it is returning
            return;
        }
        unsettled_--;
        task.front()->settle(task.front()->outcome());
    }
}

void WorkQueue::end_tasks(const void* subject, const std::exception_ptr& reason) {
    const auto affected = [subject](const Task& task) { return subject == nullptr || task.subject_ == subject; };
    for (const auto& task : running_)
        if (affected(*task)) task->interrupt(reason);
    for (auto next = waiting_.begin(); next != waiting_.end();) {
        const auto task = next++;
        if (!affected(**task)) continue;
        (*task)->error_ = reason;
        finished_.splice(finished_.end(), waiting_, task);
    }
    if (!finished_.empty()) wake_();
}

// ---- on the queue's thread -----------------------------------------------------------------------

void WorkQueue::thread_loop() {
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
            Task& task = *running_.front();
            lock.unlock();
            task.execute();
            lock.lock();
            finished_.splice(finished_.end(), running_);
            if (!abandoned_) wake_();
        }
    }
    lock.unlock();
    owned_.clear();
    lock.lock();
    freed_ = true;
    if (!abandoned_) wake_();
}

}  // namespace dllm
