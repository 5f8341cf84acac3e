// Learning-rate schedules: see learning_rate.h.
#include "learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dllm {

double learning_rate(const LearningRateConfig& config, int64_t step) {
    if (step < config.warmup_steps) return config.peak * double(step + 1) / double(config.warmup_steps);
    if (config.schedule == LearningRateSchedule::constant) return config.peak;
    if (config.schedule == LearningRateSchedule::wsd) {
        const double left = double(config.steps - step) / double(std::max<int64_t>(1, config.decay_steps));
        return config.minimum + (config.peak - config.minimum) * std::clamp(left, 0.0, 1.0);
    }
    const double length = double(std::max<int64_t>(1, config.steps - config.warmup_steps));
    const double progress = std::min(1.0, double(step - config.warmup_steps) / length);
    return config.minimum + (config.peak - config.minimum) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

}  // namespace dllm
