// Plans of matrix products, kept by key: which algorithm of cuBLASLt is used, and where an epilogue is worth it. What
// is fastest is found by trying, at first use, or taken from the same product with other rows, where that was tried:
// training meets many numbers of rows, and a run that is resumed must choose for new ones as the one that went on.
#pragma once

#include "matmul_choices.h"
#include "stopwatch.h"

#include <cstdint>
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
    MatmulPlans(Context& context, const MatmulOptions& options)
        : context_(context), options_(options), stopwatch_(context) {}
    MatmulPlans(const MatmulPlans&) = delete;
    MatmulPlans& operator=(const MatmulPlans&) = delete;

    // Sums are float32. The same key takes the same algorithm in one generation, one without split-K, so that equal
    // inputs then give equal bits. Throws ERR_DEVICE.
    void run(const MatmulProduct& product);

    // Whether to compute something by a product with an epilogue rather than in parts; the same for the same key in one
    // generation. rehearse(true) does it by the epilogue, rehearse(false) in parts, both leaving everything that cannot
    // be written again as it was. An epilogue that cannot be used is none that is faster; only a device that fails
    // throws.
    bool fuses(const MatmulProduct& product, const std::function<void(bool)>& rehearse);

    // What is derived is always that of all that has been tried so far. This number changes where a new trial has
    // changed it, and then recorded products are out of date.
    int64_t generation() const { return generation_; }

    // All choices but those that are derived from others, as text.
    std::string save() const;
    // Makes choices as they were saved, in the place of all there are. Returns why not, and then nothing has changed;
    // empty if they were.
    std::string restore(const std::string& text);

private:
    using Plans = std::map<MatmulKey, std::unique_ptr<MatmulPlan>>;
    using Fusions = std::map<MatmulKey, FusionChoice>;

    // Null if cuBLASLt has no algorithm for it.
    const MatmulPlan* find(const MatmulProduct& product);
    // The policy: everything else holds whatever is chosen here. False if cuBLASLt has no algorithm.
    bool choose(MatmulPlan& plan, const MatmulProduct& product, bool may_derive);
    bool derive(MatmulPlan& plan) const;
    void choose_fastest(MatmulPlan& plan, const MatmulProduct& product, const std::vector<Algorithm>& candidates);
    const MatmulPlan* keep(std::unique_ptr<MatmulPlan> plan);
    FusionChoice choose_fusion(const MatmulKey& key, const MatmulProduct& product,
                               const std::function<void(bool)>& rehearse);
    const FusionChoice* derive_fusion(const MatmulKey& key) const;
    // Whether it is faster by the epilogue: yes, slower or no_time.
    Fused time_fused(const std::function<void(bool)>& rehearse);
    bool may_time() const;

    Context& context_;
    MatmulOptions options_;
    Plans plans_;
    Fusions fusions_;
    int64_t generation_ = 0;
    Stopwatch stopwatch_;
};

}  // namespace dllm::cuda
