// GraphRecording: see recording.h.
#include "recording.h"

#include <cstdlib>
#include <string>

namespace dllm::cuda {
namespace {

bool graphs_are_wanted() {
    const char* value = std::getenv("DLLM_CUDA_GRAPHS");
    const std::string found = value == nullptr ? "on" : value;
    if (found != "on" && found != "off")
        fail(ErrorCode::config, "DLLM_CUDA_GRAPHS is \"" + found + "\"; accepted: on, off");
    return found == "on";
}

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

GraphRecording::GraphRecording(Context& context, const Scratch& scratch, RecordingCounts& counts)
    : context_(context), scratch_(scratch), counts_(counts), wanted_(graphs_are_wanted()) {}

GraphRecording::~GraphRecording() { drop(); }

void GraphRecording::drop() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
    graph_ = nullptr;
}

void GraphRecording::run(const std::function<void()>& ops) {
    // A working memory that has moved is freed where the graph has it.
    if (graph_ != nullptr && scratch_.address() != scratch_address_) drop();
    if (graph_ != nullptr) {
        check(cudaGraphLaunch(graph_, context_.stream()), "cudaGraphLaunch");
        counts_.replayed++;
    } else if (wanted_ && has_run_ && failures_ < MOST_FAILURES && capture(ops)) {
        check(cudaGraphLaunch(graph_, context_.stream()), "cudaGraphLaunch");
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
        counts_.failure = error.what();
        failures_++;
        return false;
    }
}

}  // namespace dllm::cuda
