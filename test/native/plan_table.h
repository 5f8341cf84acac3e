// The plan of a sampling step as an operand.
#pragma once

#include "op_run.h"

#include <cstring>
#include <vector>

namespace dllm::test {

inline Integers& plan_table(OpRun& run, const std::vector<RequestPlan>& plan) {
    std::vector<int32_t> words(plan.size() * PLAN_COLUMNS);
    if (!words.empty()) std::memcpy(words.data(), plan.data(), words.size() * sizeof(int32_t));
    return run.table("plan", words, int64_t(plan.size()));
}

}  // namespace dllm::test
