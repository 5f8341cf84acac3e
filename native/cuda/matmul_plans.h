// Plans of matrix products, kept by key: which algorithm of cuBLASLt is used, and where an epilogue is worth it. What
// is fastest is found by trying, at first use.
#pragma once

#include "matmul_choices.h"
#include "stopwatch.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dllm::cuda {

// Epilogues of products where there are kernels of our own, too: never, wherever cuBLASLt has them, or where they were
// found to be faster.
enum class UseEpilogues { off, on, measured };

struct MatmulOptions {
    bool tunes = true;
    UseEpilogues epilogues = UseEpilogues::measured;

    // DLLM_CUDA_TUNE=on|off and DLLM_CUDA_EPILOGUES=off|on|measured. Throws ERR_CONFIG.
    static MatmulOptions from_environment();
};

class MatmulPlans {
public:
    MatmulPlans(Context& context, const MatmulOptions& options) : context_(context), options_(options) {}
    MatmulPlans(const MatmulPlans&) = delete;
    MatmulPlans& operator=(const MatmulPlans&) = delete;

    // Sums are float32. The same key takes the same algorithm, one without split-K, so that equal inputs give equal
    // bits. Throws ERR_DEVICE.
    void run(const MatmulProduct& product);

    // Whether to compute something by a product with an epilogue rather than in parts; the same for the same key.
    // rehearse(true) does it by the epilogue, rehearse(false) in parts, both leaving everything that cannot be written
    // again as it was. An epilogue that cannot be used is none that is faster; only a device that fails throws.
    bool fuses(const MatmulProduct& product, const std::function<void(bool)>& rehearse);

    // All choices as text.
    std::string save() const;
    // Makes choices as they were saved. Returns why not, and then nothing has changed; empty if they were.
    std::string restore(const std::string& text);

private:
    class Trial;

    // Null if cuBLASLt has no algorithm for it.
    const MatmulPlan* find(const MatmulProduct& product);
    // The policy: everything else holds whatever is chosen here.
    void choose(MatmulPlan& plan, const MatmulProduct& product, const std::vector<Algorithm>& candidates);
    void choose_fastest(MatmulPlan& plan, const MatmulProduct& product, const std::vector<Algorithm>& candidates);
    FusionChoice choose_fusion(const MatmulProduct& product, const std::function<void(bool)>& rehearse);
    bool is_faster_fused(const std::function<void(bool)>& rehearse);
    bool captures() const;
    bool may_time() const;

    Context& context_;
    MatmulOptions options_;
    std::map<MatmulKey, std::unique_ptr<MatmulPlan>> plans_;
    std::map<MatmulKey, FusionChoice> fusions_;
    double seconds_ = 0;  // spent on trials
};

}  // namespace dllm::cuda
