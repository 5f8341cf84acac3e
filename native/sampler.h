// LLaDA's sampling loop: a canvas of mask tokens is filled in block by block, the surest predictions first
// (Nie et al., "Large Language Diffusion Models", 2025, algorithms 4 and 5).
#pragma once

#include "canvas.h"
#include "config.h"
#include "model.h"
#include "workspace.h"

#include <atomic>
#include <memory>
#include <vector>

namespace dllm {

struct Frame {
    int64_t step;                    // forward passes of this request so far
    std::vector<int32_t> canvas;     // all tokens after this step
    std::vector<int32_t> positions;  // newly committed, ascending
    std::vector<float> confidences;  // the model's probability of each of them
};

// Requests that are denoised together. Each depends on itself alone: same tokens alone and in any company.
//
// Canvases stay on the device from one forward pass to the next, and so does all that decides what is committed. The
// host tells a pass which blocks are active and how many positions to commit; it learns tokens only when they are asked
// for, and how many positions are left only where that depends on them.
class Sampler {
public:
    // Throws ERR_CONFIG for a request that does not fit the model or the configuration.
    Sampler(std::shared_ptr<Model> model, const SampleConfig& config, std::vector<SampleRequest> requests);
    Sampler(const Sampler&) = delete;
    Sampler& operator=(const Sampler&) = delete;

    bool done() const;
    // One forward pass. Returns one frame per request; a request that had nothing to do keeps its last frame,
    // without newly committed positions.
    std::vector<Frame> step();
    // Runs to the end. Throws ERR_ABORTED once `aborted` is set.
    void run(const std::atomic<bool>& aborted);

    // With the tokens of the last step() or run().
    const std::vector<Canvas>& canvases() const { return canvases_; }

private:
    void load_active();
    void advance();
    void denoise();
    Predictions part(int64_t first, int64_t count) const;
    void download_tokens();

    std::shared_ptr<Model> model_;
    SampleConfig config_;
    PredictOptions options_;
    std::vector<Canvas> canvases_;
    int64_t longest_ = 0;

    // Of the batch: the canvases that were not done when it was loaded.
    std::vector<size_t> active_;
    bool all_active_ = false;  // none of them is done yet
    int64_t length_ = 0;
    std::vector<RequestPlan> plans_;
    std::vector<int32_t> left_;
    std::unique_ptr<Workspace> workspace_;
    Arena arena_;
    Tensor plan_, first_, left_tensor_;  // (B, PLAN_COLUMNS), (1, B + 1), (1, B)
    Tensor steps_, confidences_;         // (1, N)
    Predictions predictions_;            // (1, M)
};

}  // namespace dllm
