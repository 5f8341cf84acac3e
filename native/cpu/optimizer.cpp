// The global gradient norm, AdamW and the moving average of the weights.
#include "../ceil_div.h"
#include "../thread_pool.h"
#include "../update_check.h"
#include "backend.h"
#include "check.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dllm {

namespace {

constexpr int64_t ELEMENTS_PER_UNIT = 1 << 15;

bool all_finite(const Tensor& stats) {
    return std::all_of(stats.f32(), stats.f32() + stats.cols, [](float value) { return std::isfinite(value); });
}

}  // namespace

void CpuBackend::global_norm(Tensor out, Tensor x) {
    const OpCheck check("global_norm");
    check.shape("out", out, 1, 1);
    check.shape("x", x, x.rows, x.cols);
    check.contiguous("x", x);
    std::vector<double> sums(size_t(ceil_div(x.count(), ELEMENTS_PER_UNIT)));
    parallel_ranges(x.count(), ELEMENTS_PER_UNIT, [&](int64_t begin, int64_t end) {
        sums[size_t(begin / ELEMENTS_PER_UNIT)] = kernels_.square_sum(x.f32() + begin, end - begin);
    });
    double total = 0;
    for (const double sum : sums) total += sum;
    *out.f32() = float(std::sqrt(total));
}

void CpuBackend::adamw(Tensor weights, Tensor first_moment, Tensor second_moment, Tensor gradients, Tensor stats,
                       Tensor schedule, const AdamWConstants& constants) {
    check_adamw(OpCheck("adamw"), weights, first_moment, second_moment, gradients, stats, schedule);
    if (!all_finite(stats)) return;
    const float norm = stats.f32()[Stats::gradient_norm], clip = constants.gradient_clip;
    AdamWFactors factors{};
    factors.gradient_scale = clip > 0 ? std::min(1.0f, clip / (norm + 1e-6f)) : 1.0f;
    factors.learning_rate = schedule.f32()[Schedule::learning_rate];
    factors.beta1 = constants.beta1;
    factors.beta2 = constants.beta2;
    factors.epsilon = constants.epsilon;
    factors.decay = 1.0f - factors.learning_rate * constants.weight_decay;
    factors.bias_correction1 = schedule.f32()[Schedule::bias_correction1];
    factors.bias_correction2 = schedule.f32()[Schedule::bias_correction2];
    parallel_ranges(weights.count(), ELEMENTS_PER_UNIT, [&](int64_t begin, int64_t end) {
        kernels_.adamw(weights.f32() + begin, first_moment.f32() + begin, second_moment.f32() + begin,
                       gradients.f32() + begin, factors, end - begin);
    });
}

void CpuBackend::moving_average(Tensor out, Tensor x, Tensor stats, Tensor schedule) {
    const OpCheck check("moving_average");
    check_update(check, stats, schedule);
    check.shape("x", x, out.rows, out.cols);
    check.contiguous("out", out);
    check.contiguous("x", x);
    if (!all_finite(stats)) return;
    const float rest = schedule.f32()[Schedule::average_rest];
    parallel_ranges(out.count(), ELEMENTS_PER_UNIT, [&](int64_t begin, int64_t end) {
        kernels_.moving_average(out.f32() + begin, x.f32() + begin, rest, end - begin);
    });
}

}  // namespace dllm
