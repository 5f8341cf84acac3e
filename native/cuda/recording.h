// Recordings as CUDA graphs: one launch instead of hundreds.
#pragma once

#include "../backend.h"
#include "context.h"
#include "matmul_plans.h"

namespace dllm::cuda {

// The first run is op by op: it makes plans and grows the working memory, neither of which a graph can. The second one
// is captured, later ones launch the graph. Plans of another generation begin anew. DLLM_CUDA_GRAPHS=off keeps all runs
// op by op.
class GraphRecording final : public Recording {
public:
    // Throws ERR_CONFIG when DLLM_CUDA_GRAPHS is neither on nor off.
    GraphRecording(Context& context, const Scratch& scratch, const MatmulPlans& plans, RecordingCounts& counts);
    ~GraphRecording() override;
    GraphRecording(const GraphRecording&) = delete;
    GraphRecording& operator=(const GraphRecording&) = delete;

    void run(const std::function<void()>& ops) override;

private:
    // Whether it now has a graph; if not, the counts say why and nothing has run.
    bool capture(const std::function<void()>& ops);
    // Whether the graph now runs; if not, it is dropped, the counts say why and nothing has run.
    bool launch();
    void note(const Error& error);
    bool is_current() const;
    void drop();

    // Ops that could not be captured or launched twice, with no replay in between, never will be.
    static constexpr int MOST_FAILURES = 2;

    Context& context_;
    const Scratch& scratch_;
    const MatmulPlans& plans_;
    RecordingCounts& counts_;
    const bool wanted_;
    bool has_run_ = false;
    int failures_ = 0;  // since the last replay
    cudaGraphExec_t graph_ = nullptr;
    const void* scratch_address_ = nullptr;  // in the graph
    int64_t plans_generation_ = 0;           // of the last run op by op
};

}  // namespace dllm::cuda
