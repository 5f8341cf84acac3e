// Checks of the arguments that the ops of an update share on any backend.
#pragma once

#include "backend.h"
#include "op_check.h"

#include <utility>

namespace dllm {

inline void check_update(const OpCheck& op, const Tensor& stats, const Tensor& schedule) {
    op.shape("stats", stats, 1, Stats::columns);
    op.shape("schedule", schedule, 1, Schedule::columns);
}

inline void check_adamw(const OpCheck& op, const Tensor& weights, const Tensor& first_moment,
                        const Tensor& second_moment, const Tensor& gradients, const Tensor& stats,
                        const Tensor& schedule) {
    check_update(op, stats, schedule);
    for (const auto& [what, x] : {std::pair("weights", weights), std::pair("first_moment", first_moment),
                                  std::pair("second_moment", second_moment), std::pair("gradients", gradients)}) {
        op.shape(what, x, weights.rows, weights.cols);
        op.contiguous(what, x);
    }
}

}  // namespace dllm
