// Recordings as CUDA graphs: one launch instead of hundreds.
#pragma once

#include "../backend.h"
#include "context.h"

namespace dllm::cuda {

// The first run is op by op: it makes plans and grows the working memory, neither of which a graph can. The second one
// is captured, later ones launch the graph. DLLM_CUDA_GRAPHS=off keeps all runs op by op.
class GraphRecording final : public Recording {
public:
    // Throws ERR_CONFIG when DLLM_CUDA_GRAPHS is neither on nor off.
    GraphRecording(Context& context, const Scratch& scratch, RecordingCounts& counts);
    ~GraphRecording() override;
    GraphRecording(const GraphRecording&) = delete;
    GraphRecording& operator=(const GraphRecording&) = delete;

    void run(const std::function<void()>& ops) override;

private:
    // Whether it now has a graph; if not, the counts say why and nothing has run.
    bool capture(const std::function<void()>& ops);
    void drop();

    // Ops that cannot be captured twice never will be.
    static constexpr int MOST_FAILURES = 2;

    Context& context_;
    const Scratch& scratch_;
    RecordingCounts& counts_;
    const bool wanted_;
    bool has_run_ = false;
    int failures_ = 0;
    cudaGraphExec_t graph_ = nullptr;
    const void* scratch_address_ = nullptr;  // in the graph
};

}  // namespace dllm::cuda
