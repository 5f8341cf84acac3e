// The learning rate of each optimizer step.
#pragma once

#include "config.h"

namespace dllm {

// step counts from 0. Warm-up rises linearly to the peak; cosine then falls towards the minimum, which
// it would reach one step after the last.
double learning_rate(const LearningRateConfig& config, int64_t step);

}  // namespace dllm
