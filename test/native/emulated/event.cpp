// Events: the moment at which they were recorded.
#include "stream.h"

#include <chrono>

using namespace dllm::emulated;

struct CUevent_st : Handle {
    unsigned flags = 0;
    bool recorded = false;
    const Capture* captured_in = nullptr;  // compared only
    std::chrono::steady_clock::time_point time;
};

namespace {

bool valid(cudaEvent_t event) { return event != nullptr && Handle::is_live(event); }

cudaError_t wait_for(cudaEvent_t event) {
    if (!valid(event)) return cudaErrorInvalidResourceHandle;
    return event->captured_in != nullptr ? cudaErrorCapturedEvent : cudaSuccess;
}

}  // namespace

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    return runtime_call([&] {
        if (event == nullptr || flags > (cudaEventBlockingSync | cudaEventDisableTiming)) return cudaErrorInvalidValue;
        if (refuse_handle()) return cudaErrorMemoryAllocation;
        *event = new CUevent_st;
        (*event)->flags = flags;
        return cudaSuccess;
    });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const std::lock_guard lock(device().mutex);
    const bool live = valid(event);
    if (live) delete event;
    return runtime_call([live] { return live ? cudaSuccess : cudaErrorInvalidResourceHandle; });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    return runtime_call([&] {
        if (!valid(event)) return cudaErrorInvalidResourceHandle;
        if (const cudaError_t error = submit(stream, [] {}); error != cudaSuccess) return error;
        event->recorded = true;
        event->captured_in = stream != nullptr ? stream->capture.get() : nullptr;
        event->time = std::chrono::steady_clock::now() + device().delay;
        return cudaSuccess;
    });
}

// What was submitted before has run already, so there is nothing to wait for; but captures must not be mixed.
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    return runtime_call([&] {
        if (const cudaError_t error = check_stream(stream); error != cudaSuccess) return error;
        if (!valid(event)) return cudaErrorInvalidResourceHandle;
        Capture* capture = stream != nullptr ? stream->capture.get() : nullptr;
        if (!event->recorded || event->captured_in == capture) return cudaSuccess;
        if (event->captured_in == nullptr) return spoil(*capture, cudaErrorStreamCaptureIsolation);
        throw Fault("cudaStreamWaitEvent: the emulation does not spread a capture over several streams");
    });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    return runtime_call([&] { return wait_for(event); });
}

cudaError_t cudaEventQuery(cudaEvent_t event) { return cudaEventSynchronize(event); }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
    return runtime_call([&] {
        if (milliseconds == nullptr) return cudaErrorInvalidValue;
        for (const cudaEvent_t event : {start, end}) {
            if (const cudaError_t error = wait_for(event); error != cudaSuccess) return error;
            if (!event->recorded || (event->flags & cudaEventDisableTiming) != 0) return cudaErrorInvalidResourceHandle;
        }
        *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
        return cudaSuccess;
    });
}
