// Devices that this process has lost: after a kernel that faulted, CUDA answers every later call with the same error.
#pragma once

#include <cuda_runtime.h>

#include <string>

namespace dllm::cuda {

// Whether CUDA keeps this error until the process ends.
bool is_lasting(cudaError_t status);

// The first failure of a device is kept.
void record_failure(int device, const std::string& reason);

// For people; empty where the device has not failed.
std::string failure_of(int device);

// Throws ERR_DEVICE with that text where the device has failed.
void require_alive(int device);

// For tests: the emulated GPU can be made new.
void forget_failures();

}  // namespace dllm::cuda
