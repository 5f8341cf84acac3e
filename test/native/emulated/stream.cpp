// Streams.
#include "stream.h"

#include <algorithm>
#include <utility>

namespace dllm::emulated {

std::vector<cudaStream_t>& capturing_streams() {
    static std::vector<cudaStream_t> all;
    return all;
}

cudaError_t spoil(Capture& capture, cudaError_t error) {
    capture.invalid = true;
    return error;
}

cudaError_t check_stream(cudaStream_t stream) {
    return stream == nullptr || Handle::is_live(stream) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t unsafe_while_capturing() {
    for (const cudaStream_t stream : capturing_streams()) {
        Capture& capture = *stream->capture;
        const bool own = capture.owner == std::this_thread::get_id();
        if (capture.mode == cudaStreamCaptureModeGlobal || (capture.mode == cudaStreamCaptureModeThreadLocal && own)) {
            return spoil(capture, cudaErrorStreamCaptureUnsupported);
        }
    }
    return cudaSuccess;
}

cudaError_t submit(cudaStream_t stream, Work work) {
    if (const cudaError_t error = check_stream(stream); error != cudaSuccess) return error;
    if (stream == nullptr) {
        for (const cudaStream_t other : capturing_streams()) {
            if (other->waits_for_default()) return spoil(*other->capture, cudaErrorStreamCaptureImplicit);
        }
    } else if (stream->capture) {
        if (stream->capture->invalid) return cudaErrorStreamCaptureInvalidated;
        stream->capture->work.push_back(std::move(work));
        return cudaSuccess;
    }
    work();
    return cudaSuccess;
}

namespace {

// Waiting for a stream, or asking whether one would have to.
cudaError_t wait_for(cudaStream_t stream) {
    if (const cudaError_t error = check_stream(stream); error != cudaSuccess) return error;
    if (stream == nullptr) return unsafe_while_capturing();
    return stream->capture ? spoil(*stream->capture, cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}

}  // namespace

}  // namespace dllm::emulated

using namespace dllm::emulated;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    return runtime_call([&] {
        if (stream == nullptr || flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
        if (refuse_handle()) return cudaErrorMemoryAllocation;
        *stream = new CUstream_st;
        (*stream)->flags = flags;
        return cudaSuccess;
    });
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    const std::lock_guard lock(device().mutex);
    if (stream == nullptr || !Handle::is_live(stream)) {
        return runtime_call([] { return cudaErrorInvalidResourceHandle; });
    }
    std::erase(capturing_streams(), stream);
    delete stream;
    return runtime_call([] { return cudaSuccess; });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    return runtime_call([&] { return wait_for(stream); });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }

cudaError_t cudaDeviceSynchronize() {
    return runtime_call([] {
        for (const cudaStream_t stream : capturing_streams()) {
            return spoil(*stream->capture, cudaErrorStreamCaptureUnsupported);
        }
        return cudaSuccess;
    });
}
