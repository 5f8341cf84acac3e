// The global gradient norm, AdamW and the moving average of the weights.
#include "backend.h"
#include "check.h"
#include "thread_pool.h"

#include <cmath>
#include <vector>

namespace dllm {

namespace {

constexpr int64_t ELEMENTS_PER_UNIT = 1 << 15;

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

void CpuBackend::adamw(Tensor weights, Tensor first_moment, Tensor second_moment, Tensor gradients,
                       Tensor gradient_norm, const AdamWStep& step) {
    const OpCheck check("adamw");
    const int64_t rows = weights.rows, cols = weights.cols;
    check.shape("gradient_norm", gradient_norm, 1, 1);
    for (const auto& [what, x] : {std::pair("weights", weights), std::pair("first_moment", first_moment),
                                  std::pair("second_moment", second_moment), std::pair("gradients", gradients)}) {
        check.shape(what, x, rows, cols);
        check.contiguous(what, x);
    }
    AdamWFactors factors{};
    factors.gradient_scale =
        step.gradient_clip > 0 ? std::min(1.0f, step.gradient_clip / (*gradient_norm.f32() + 1e-6f)) : 1.0f;
    factors.learning_rate = step.learning_rate;
    factors.beta1 = step.beta1;
    factors.beta2 = step.beta2;
    factors.epsilon = step.epsilon;
    factors.decay = 1.0f - step.learning_rate * step.weight_decay;
    factors.bias_correction1 = step.bias_correction1;
    factors.bias_correction2 = step.bias_correction2;
    parallel_ranges(weights.count(), ELEMENTS_PER_UNIT, [&](int64_t begin, int64_t end) {
        kernels_.adamw(weights.f32() + begin, first_moment.f32() + begin, second_moment.f32() + begin,
                       gradients.f32() + begin, factors, end - begin);
    });
}

void CpuBackend::moving_average(Tensor out, Tensor x, float rest) {
    const OpCheck check("moving_average");
    check.shape("x", x, out.rows, out.cols);
    check.contiguous("out", out);
    check.contiguous("x", x);
    parallel_ranges(out.count(), ELEMENTS_PER_UNIT, [&](int64_t begin, int64_t end) {
        kernels_.moving_average(out.f32() + begin, x.f32() + begin, rest, end - begin);
    });
}

}  // namespace dllm
