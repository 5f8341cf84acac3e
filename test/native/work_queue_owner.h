// What the tests of work queues share: owners, which sleep until their queue wakes them as a JavaScript event loop
// does, threads for several of them, and random choices.
#pragma once

#include "error.h"
#include "rng.h"
#include "test.h"
#include "work_queue.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <source_location>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace dllm {

using Stop = std::shared_ptr<std::atomic<bool>>;

inline Stop make_stop() { return std::make_shared<std::atomic<bool>>(false); }

// "done", or what kind of exception it was.
inline std::string describe(const std::exception_ptr& error) {
    if (!error) return "done";
    try {
        std::rethrow_exception(error);
    } catch (const Error& own) {
        return std::string(error_code_name(own.code())) + " " + own.what();
    } catch (const std::bad_alloc&) {
        return "bad_alloc";
    } catch (...) {
        return "unknown";
    }
}

class FunctionTask final : public Task {
public:
    using Settle = std::function<void(const std::string& outcome)>;

    FunctionTask(const void* subject, Stop stop, std::function<void()> work, Settle settle)
        : Task(subject, std::move(stop)), work_(std::move(work)), settle_(std::move(settle)) {}

private:
    void work() override { work_(); }
    void settle(const std::exception_ptr& error) override { settle_(describe(error)); }

    const std::function<void()> work_;
    const Settle settle_;
};

class QueueOwner {
public:
    // Its outcome joins `outcomes` as "name: outcome".
    void submit(const std::string& name, std::function<void()> work, const void* subject = nullptr,
                Stop stop = nullptr) {
        submit(
            std::move(work), [this, name](const std::string& outcome) { outcomes.push_back(name + ": " + outcome); },
            subject, std::move(stop));
    }
    void submit(std::function<void()> work, FunctionTask::Settle settle, const void* subject = nullptr,
                Stop stop = nullptr) {
        queue.submit(std::make_unique<FunctionTask>(subject, std::move(stop), std::move(work), std::move(settle)));
    }

    // Settles after each wake until the condition holds. False: no wake came for a minute.
    template <typename Condition>
    bool settle_until(Condition condition) {
        while (!condition()) {
            if (!wait_for_wake()) return false;
            queue.settle_finished();
        }
        return true;
    }
    bool settle_all() {
        return settle_until([this] { return queue.unsettled() == 0; });
    }
    bool settle_to_the_end() {
        return settle_until([this] { return queue.ended(); });
    }

    int64_t wakes() {
        const std::lock_guard lock(mutex_);
        return wakes_;
    }

private:
    bool wait_for_wake() {
        std::unique_lock lock(mutex_);
        const bool woken = woken_.wait_for(lock, std::chrono::minutes(1), [this] { return wakes_ > seen_; });
        seen_ = wakes_;
        return woken;
    }

    std::mutex mutex_;
    std::condition_variable woken_;
    int64_t wakes_ = 0;
    int64_t seen_ = 0;

public:
    std::vector<std::string> outcomes;
    WorkQueue queue{[this] {
        const std::lock_guard lock(mutex_);
        wakes_++;
        woken_.notify_one();
    }};
};

class Draws {
public:
    explicit Draws(uint64_t seed) : key_(philox_key(seed, 0)) {}
    int below(int bound) { return int(random_bits(key_, Stream::window, 0, 0, next_++) % uint32_t(bound)); }
    bool chance(int one_in) { return below(one_in) == 0; }

private:
    const PhiloxKey key_;
    uint32_t next_ = 0;
};

// What an owner's thread found wrong; tests fail on their own thread only.
using Problems = std::vector<std::string>;

inline void run_owners(int count, const std::function<void(int owner, Problems&)>& body) {
    std::vector<Problems> problems{size_t(count)};
    {
        std::vector<std::jthread> threads;
        for (int owner = 0; owner < count; owner++)
            threads.emplace_back([&, owner] {
                try {
                    body(owner, problems[size_t(owner)]);
                } catch (const std::exception& error) {
                    problems[size_t(owner)].push_back(error.what());
                }
            });
    }
    for (const Problems& found : problems)
        if (!found.empty()) throw test::Failure{found.front(), std::source_location::current()};
}

inline void spin(int microseconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(microseconds);
    while (std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

}  // namespace dllm
