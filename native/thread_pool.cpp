// The thread pool: workers wait at a gate that the caller of a loop opens and closes.
#include "thread_pool.h"

#include "error.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace dllm {

namespace {

constexpr int MAX_THREADS = 1024;
constexpr auto SPIN_TIME = std::chrono::microseconds(50);
constexpr int CHECKS_PER_CLOCK_READ = 16;

thread_local bool inside_loop = false;

int threads_from_environment() {
    const char* text = std::getenv("DLLM_THREADS");
    if (text == nullptr || *text == '\0') return std::clamp(int(std::thread::hardware_concurrency()), 1, MAX_THREADS);
    int threads = 0;
    const char* end = text + std::strlen(text);
    const auto [parsed_end, error] = std::from_chars(text, end, threads);
    if (error != std::errc() || parsed_end != end || threads < 1 || threads > MAX_THREADS) {
        fail(ErrorCode::config,
             "DLLM_THREADS must be a whole number from 1 to " + std::to_string(MAX_THREADS) + ", got \"" + text + "\"");
    }
    return threads;
}

std::atomic<int>& limit() {
    static std::atomic<int> value = threads_from_environment();
    return value;
}

// True as soon as ready() is; false when it still is not after the spin time.
template <class Ready>
bool spin_until(Ready ready) {
    const auto deadline = std::chrono::steady_clock::now() + SPIN_TIME;
    do {
        for (int check = 0; check < CHECKS_PER_CLOCK_READ; check++) {
            if (ready()) return true;
            relax();
        }
    } while (std::chrono::steady_clock::now() < deadline);
    return false;
}

class ThreadPool {
public:
    void run(int64_t count, LoopBody body) {
        const std::lock_guard turn(turn_);  // loops of different callers take turns
        const int helpers = int(std::min<int64_t>(limit().load(), count)) - 1;
        start_workers(helpers);
        body_ = &body;
        count_ = count;
        helpers_.store(helpers, std::memory_order_relaxed);
        next_.store(0, std::memory_order_relaxed);
        gate_.fetch_add(NEXT_LOOP | OPEN);  // publishes the fields above to the workers that pass it
        gate_.notify_all();
        work();
        gate_.fetch_sub(OPEN);
        wait_for_workers();
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }

private:
    // gate_: the number of workers inside, whether more may enter, and which loop it is.
    static constexpr uint32_t INSIDE = 0xFFFF, OPEN = 0x10000, NEXT_LOOP = 0x20000;

    void start_workers(int count) {
        try {
            while (int(workers_.size()) < count) workers_.emplace_back(&ThreadPool::worker, this, int(workers_.size()));
        } catch (const std::system_error& error) {
            fail(ErrorCode::native, "could not start thread " + std::to_string(workers_.size() + 2) + " of " +
                                        std::to_string(count + 1) + " (" + error.what() +
                                        "); DLLM_THREADS can lower the number");
        }
    }

    void worker(int index) {
        inside_loop = true;
        uint32_t last_loop = OPEN;  // no loop's number
        for (;;) {
            uint32_t gate = 0;
            const auto may_enter = [&] {
                gate = gate_.load(std::memory_order_acquire);
                return (gate & OPEN) != 0 && loop_number(gate) != last_loop &&
                       index < helpers_.load(std::memory_order_relaxed);
            };
            if (!spin_until(may_enter)) {
                gate_.wait(gate);
                continue;
            }
            if (!gate_.compare_exchange_strong(gate, gate + 1)) continue;
            last_loop = loop_number(gate);
            work();
            gate_.fetch_sub(1);
            departures_.fetch_add(1);
            departures_.notify_one();
        }
    }

    void work() {
        const bool was_inside = std::exchange(inside_loop, true);
        try {
            for (int64_t i = next_.fetch_add(1, std::memory_order_relaxed); i < count_;
                 i = next_.fetch_add(1, std::memory_order_relaxed)) {
                (*body_)(i);
            }
        } catch (...) {
            const std::lock_guard lock(error_lock_);
            if (!error_) error_ = std::current_exception();
            next_.store(count_, std::memory_order_relaxed);
        }
        inside_loop = was_inside;
    }

    void wait_for_workers() {
        const auto all_left = [&] { return (gate_.load(std::memory_order_acquire) & INSIDE) == 0; };
        while (!spin_until(all_left)) {
            const uint32_t seen = departures_.load();
            if (all_left()) return;
            departures_.wait(seen);
        }
    }

    static uint32_t loop_number(uint32_t gate) { return gate & ~(INSIDE | OPEN); }

    std::mutex turn_;
    std::vector<std::thread> workers_;
    alignas(64) std::atomic<uint32_t> gate_ = 0;
    alignas(64) std::atomic<uint32_t> departures_ = 0;  // what the caller of a loop parks on
    alignas(64) std::atomic<int64_t> next_ = 0;
    const LoopBody* body_ = nullptr;
    int64_t count_ = 0;
    std::atomic<int> helpers_ = 0;
    std::mutex error_lock_;
    std::exception_ptr error_;
};

}  // namespace

int thread_limit() { return limit().load(); }

void set_thread_limit(int threads) {
    if (threads < 1 || threads > MAX_THREADS) {
        fail(ErrorCode::config,
             "the thread limit must be from 1 to " + std::to_string(MAX_THREADS) + ", got " + std::to_string(threads));
    }
    limit().store(threads);
}

void run_parallel(int64_t count, LoopBody body) {
    if (count <= 0) return;
    if (count == 1 || inside_loop || thread_limit() == 1) {
        for (int64_t index = 0; index < count; index++) body(index);
        return;
    }
    // Never destroyed: its threads may still be parked in it while the process exits.
    static ThreadPool& pool = *new ThreadPool;
    pool.run(count, body);
}

}  // namespace dllm
