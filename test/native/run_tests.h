// Runs tests one after the other, in this process or in several.
#pragma once

#include "test.h"

#include <span>

namespace dllm::test {

struct Counts {
    int passed = 0, failed = 0, skipped = 0;
};

constexpr int MOST_PROCESSES = 64;

Counts run_in_this_process(std::span<const Case> tests);

// Each process takes the next test that none has begun. A process that dies fails the test that it ran, by name, and
// another takes its place.
Counts run_in_processes(std::span<const Case> tests, int processes);

}  // namespace dllm::test
