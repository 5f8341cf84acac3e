// Capturing a stream into a graph, and launching graphs: the recorded work, in the order in which it was recorded.
#include "stream.h"

#include <utility>

using namespace dllm::emulated;

struct CUgraph_st : Handle {
    std::vector<Work> work;
};

struct CUgraphExec_st : Handle {
    std::vector<Work> work;
};

namespace {

// Handles are given back even after a failed kernel, so that the accounts show those that never were.
template <class T>
cudaError_t destroy(T* handle) {
    const std::lock_guard lock(device().mutex);
    const bool live = handle != nullptr && Handle::is_live(handle);
    if (live) delete handle;
    return runtime_call([live] { return live ? cudaSuccess : cudaErrorInvalidResourceHandle; });
}

}  // namespace

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    return runtime_call([&] {
        if (const cudaError_t error = check_stream(stream); error != cudaSuccess) return error;
        if (stream == nullptr) return cudaErrorStreamCaptureUnsupported;
        if (stream->capture) return cudaErrorIllegalState;
        stream->capture = std::make_unique<Capture>(Capture{mode, std::this_thread::get_id(), false, {}});
        capturing_streams().push_back(stream);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    return runtime_call([&] {
        if (const cudaError_t error = check_stream(stream); error != cudaSuccess) return error;
        if (graph == nullptr) return cudaErrorInvalidValue;
        if (stream == nullptr || !stream->capture) return cudaErrorIllegalState;
        const bool own = stream->capture->owner == std::this_thread::get_id();
        if (!own && stream->capture->mode != cudaStreamCaptureModeRelaxed) return cudaErrorStreamCaptureWrongThread;
        const auto capture = std::exchange(stream->capture, nullptr);
        std::erase(capturing_streams(), stream);
        *graph = nullptr;
        if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
        if (refuse_handle()) return cudaErrorMemoryAllocation;
        *graph = new CUgraph_st;
        (*graph)->work = std::move(capture->work);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
    return runtime_call([&] {
        if (const cudaError_t error = check_stream(stream); error != cudaSuccess) return error;
        if (status == nullptr) return cudaErrorInvalidValue;
        *status = cudaStreamCaptureStatusNone;
        if (stream != nullptr && stream->capture) {
            *status = stream->capture->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
        }
        return cudaSuccess;
    });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
    return runtime_call([&] {
        if (executable == nullptr || graph == nullptr || !Handle::is_live(graph)) return cudaErrorInvalidValue;
        if (refuse_handle()) return cudaErrorMemoryAllocation;
        *executable = new CUgraphExec_st;
        (*executable)->work = graph->work;
        return cudaSuccess;
    });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    return runtime_call([&] {
        if (executable == nullptr || !Handle::is_live(executable)) return cudaErrorInvalidValue;
        Device& d = device();
        if (d.until_failed_graph_launch > 0 && --d.until_failed_graph_launch == 0) return cudaErrorMemoryAllocation;
        return submit(stream, [all = executable->work] {
            for (const Work& work : all) {
                if (device().error == cudaSuccess) work();
            }
        });
    });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return destroy(executable); }
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return destroy(graph); }
