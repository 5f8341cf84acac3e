// Streams: work runs at once, or is recorded while the stream is captured.
#pragma once

#include "device.h"

#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace dllm::emulated {

using Work = std::function<void()>;

struct Capture {
    cudaStreamCaptureMode mode;
    std::thread::id owner;
    bool invalid = false;
    std::vector<Work> work;
};

}  // namespace dllm::emulated

struct CUstream_st : dllm::emulated::Handle {
    unsigned flags = 0;
    std::unique_ptr<dllm::emulated::Capture> capture;

    bool waits_for_default() const { return (flags & cudaStreamNonBlocking) == 0; }
};

namespace dllm::emulated {

// Runs the work, or records it. The caller holds the device's lock (runtime_call).
cudaError_t submit(cudaStream_t stream, Work work);

// Those that are captured now.
std::vector<cudaStream_t>& capturing_streams();

// Makes the capture end in an error, and returns the one given.
cudaError_t spoil(Capture& capture, cudaError_t error);

// The error, if any, of a call that may not be made while some stream is captured (allocating, waiting for the device):
// such a call spoils the capture, as in CUDA.
cudaError_t unsafe_while_capturing();

// cudaErrorInvalidResourceHandle unless the stream lives (the default stream, null, always does).
cudaError_t check_stream(cudaStream_t stream);

}  // namespace dllm::emulated
