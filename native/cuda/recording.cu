// GraphRecording: see recording.h.
#include "recording.h"

#include "environment.h"
#include "failed_devices.h"

namespace dllm::cuda {
namespace {

bool graphs_are_wanted() { return environment_choice("DLLM_CUDA_GRAPHS", {"off", "on"}, 1) == 1; }

// The stream's capture, ended and its graph destroyed whatever happens.
class Capture {
public:
    explicit Capture(Context& context) : context_(context) { context_.begin_capture(); }
    ~Capture() {
        if (!ended_) context_.abandon_capture();
        if (graph_ != nullptr) cudaGraphDestroy(graph_);
    }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    cudaGraph_t end() {
        ended_ = true;
        graph_ = context_.end_capture();
        return graph_;
    }

private:
    Context& context_;
    bool ended_ = false;
    cudaGraph_t graph_ = nullptr;
};

}  // namespace

GraphRecording::GraphRecording(Context& context, const Scratch& scratch, const MatmulPlans& plans,
                               RecordingCounts& counts)
    : context_(context), scratch_(scratch), plans_(plans), counts_(counts), wanted_(graphs_are_wanted()) {}

GraphRecording::~GraphRecording() { drop(); }

void GraphRecording::drop() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
    graph_ = nullptr;
}

// A working memory that has moved is freed where the graph has it, and a plan may have another algorithm by now.
bool GraphRecording::is_current() const {
    return scratch_.address() == scratch_address_ && plans_.generation() == plans_generation_;
}

void GraphRecording::run(const std::function<void()>& ops) {
    if (!is_current()) drop();
    if (plans_.generation() != plans_generation_) {
        plans_generation_ = plans_.generation();
        has_run_ = false;
    }
    if (graph_ != nullptr && launch()) {
        failures_ = 0;
        counts_.replayed++;
    } else if (wanted_ && has_run_ && failures_ < MOST_FAILURES && capture(ops) && launch()) {
        counts_.captured++;
    } else {
        ops();
        has_run_ = true;
        counts_.plain++;
    }
}

bool GraphRecording::capture(const std::function<void()>& ops) {
    try {
        Capture capture(context_);
        ops();
        const cudaError_t status = cudaGraphInstantiate(&graph_, capture.end(), 0);
        if (status != cudaSuccess) graph_ = nullptr;
        check(status, "cudaGraphInstantiate");
        scratch_address_ = scratch_.address();
        return true;
    } catch (const Error& error) {
        // An error that is not of the capture comes up again when the ops run one by one.
        note(error);
        return false;
    }
}

bool GraphRecording::launch() {
    const cudaStream_t stream = context_.stream();
    try {
        check(cudaGraphLaunch(graph_, stream), "cudaGraphLaunch");
        return true;
    } catch (const Error& error) {
        require_alive(context_.device());
        drop();
        note(error);
        return false;
    }
}

void GraphRecording::note(const Error& error) {
    counts_.failure = error.what();
    failures_++;
}

}  // namespace dllm::cuda
