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
class Sampler {
public:
    // Throws ERR_CONFIG for a request that does not fit the model or the configuration.
    Sampler(std::shared_ptr<Model> model, const SampleConfig& config, std::vector<SampleRequest> requests);

    bool done() const;
    // One forward pass. Returns one frame per request; a request that had nothing to do keeps its last frame,
    // without newly committed positions.
    std::vector<Frame> step();
    // Runs to the end. Throws ERR_ABORTED once `aborted` is set.
    void run(const std::atomic<bool>& aborted);

    const std::vector<Canvas>& canvases() const { return canvases_; }

private:
    struct Prediction {
        std::vector<int32_t> tokens;
        std::vector<float> confidences;
    };

    Batch batch(const std::vector<size_t>& active) const;
    Prediction predict(const Batch& inputs, const std::vector<int32_t>& rows, const std::vector<DrawKey>& draws);

    std::shared_ptr<Model> model_;
    SampleConfig config_;
    std::vector<Canvas> canvases_;
    int64_t longest_ = 0;
    std::unique_ptr<Workspace> workspace_;
};

}  // namespace dllm
