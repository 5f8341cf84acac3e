// The weighted cross-entropy.
#include "../thread_pool.h"
#include "backend.h"
#include "check.h"

#include <vector>

namespace dllm {

void CpuBackend::cross_entropy(Tensor loss, Tensor logits, Tensor targets, Tensor weights) {
    const OpCheck check("cross_entropy");
    const int64_t M = logits.rows, V = logits.cols;
    check.shape("loss", loss, 1, 1);
    check.shape("logits", logits, M, V);
    check.shape("targets", targets, 1, M, DType::i32);
    check.shape("weights", weights, 1, M);
    check.indices("targets", targets, V);
    std::vector<double> row_losses(static_cast<size_t>(M));
    parallel_for(M, [&](int64_t row) {
        row_losses[size_t(row)] =
            kernels_.cross_entropy(logits.f32() + row * logits.stride, V, targets.i32()[row], weights.f32()[row]);
    });
    double sum = 0;
    for (const double row_loss : row_losses) sum += row_loss;
    *loss.f32() += float(sum);
}

}  // namespace dllm
