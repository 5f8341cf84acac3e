// Launching a grid.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

namespace dllm::emulated {

struct Launch {
    const void* kernel;  // for its name
    dim3 grid;
    dim3 block;
    size_t shared_bytes;
    std::function<void()> thread;  // what every thread runs
};

// Runs it, or records it while the stream is captured. Refused with CUDA's errors where the device's limits are passed.
cudaError_t launch_grid(Launch launch, cudaStream_t stream);

}  // namespace dllm::emulated
