// The learning rate of each optimizer step.
#pragma once

#include "config.h"

namespace dllm {

// step counts from 0. Warm-up rises linearly to the peak. Then cosine falls towards the minimum, and wsd (warm-up,
// stable, decay: Hu et al., "MiniCPM", 2024) stays at the peak and falls linearly in the last decay_steps; both would
// reach the minimum one step after the last.
double learning_rate(const LearningRateConfig& config, int64_t step);

}  // namespace dllm
