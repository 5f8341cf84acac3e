// One test after the other, its outcome printed; and processes that share the tests among them.
#include "run_tests.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <new>
#include <string>
#include <system_error>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dllm::test {
namespace {

constexpr int NONE = -1;  // no test

enum class Outcome { passed, failed, skipped };

struct Result {
    Outcome outcome;
    std::string text;
};

Result run(const Case& entry) {
    const auto start = std::chrono::steady_clock::now();
    const auto failed = [](const std::string& why) { return Result{Outcome::failed, "FAILED\n    " + why}; };
    try {
        entry.run();
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        char text[32];
        std::snprintf(text, sizeof(text), "ok (%.2f s)", seconds.count());
        return {Outcome::passed, text};
    } catch (const Skipped& skipped) {
        return {Outcome::skipped, "SKIPPED: " + skipped.reason};
    } catch (const Failure& failure) {
        return failed(join(failure.where.file_name(), ":", failure.where.line(), ": ", failure.message));
    } catch (const std::exception& error) {
        return failed(join("threw: ", error.what()));
    } catch (...) {
        return failed("threw something that is not a std::exception");
    }
}

// What processes share: the next test, how those ended that have run, and by process the test it is in.
struct Progress {
    std::atomic<int> next = 0, passed = 0, failed = 0, skipped = 0;
    std::array<std::atomic<int>, MOST_PROCESSES> running;
};

template <class Counter>
void count(Counter& counter, Outcome outcome) {
    (outcome == Outcome::passed ? counter.passed : outcome == Outcome::failed ? counter.failed : counter.skipped)++;
}

// In memory that stays shared across a fork.
class SharedProgress {
public:
    SharedProgress()
        : memory_(mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        if (memory_ == MAP_FAILED) throw std::bad_alloc();
        new (memory_) Progress();
    }
    ~SharedProgress() { munmap(memory_, sizeof(Progress)); }
    SharedProgress(const SharedProgress&) = delete;
    SharedProgress& operator=(const SharedProgress&) = delete;

    Progress& operator*() { return *static_cast<Progress*>(memory_); }

private:
    void* memory_;
};

// Whole lines, since other processes print too.
void print(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}

void take_tests(std::span<const Case> tests, Progress& progress, std::atomic<int>& running) {
    for (int i = progress.next++; i < int(tests.size()); i = progress.next++) {
        running = i;
        const Result result = run(tests[size_t(i)]);
        print(join(tests[size_t(i)].name, " ", result.text));
        count(progress, result.outcome);
        running = NONE;
    }
}

pid_t start_process(std::span<const Case> tests, Progress& progress, std::atomic<int>& running) {
    std::fflush(stdout);  // what is still in the buffer would be printed twice
    running = NONE;
    const pid_t process = fork();
    if (process < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (process > 0) return process;
    take_tests(tests, progress, running);
    std::exit(0);  // as at the end of main: leaks are looked for
}

std::string describe_end(int status) {
    return WIFSIGNALED(status) ? join("signal ", WTERMSIG(status)) : join("exit code ", WEXITSTATUS(status));
}

}  // namespace

Counts run_in_this_process(std::span<const Case> tests) {
    Counts counts;
    for (const Case& entry : tests) {
        std::printf("%s ", entry.name);  // first, so that the last line of a crashed run says which test it was
        std::fflush(stdout);
        const Result result = run(entry);
        print(result.text);
        count(counts, result.outcome);
    }
    return counts;
}

Counts run_in_processes(std::span<const Case> tests, int processes) {
    SharedProgress shared;
    Progress& progress = *shared;
    std::map<pid_t, std::atomic<int>*> alive;
    const auto start = [&](std::atomic<int>& running) {
        alive.emplace(start_process(tests, progress, running), &running);
    };
    for (int i = 0; i < std::min(processes, MOST_PROCESSES); i++) start(progress.running[size_t(i)]);
    while (!alive.empty()) {
        int status = 0;
        const pid_t process = waitpid(-1, &status, 0);
        const auto entry = alive.find(process);
        if (entry == alive.end()) continue;
        std::atomic<int>& running = *entry->second;
        alive.erase(entry);
        const bool in_test = running != NONE;
        if (status == 0 && !in_test) continue;
        const std::string name = in_test ? tests[size_t(running)].name : "after its tests, a process";
        print(join(name, " FAILED\n    ended by ", describe_end(status)));
        progress.failed++;
        if (in_test) start(running);
    }
    return {progress.passed, progress.failed, progress.skipped};
}

}  // namespace dllm::test
