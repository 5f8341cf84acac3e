// The memory of the device: every allocation lies between two guards.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>

namespace dllm::emulated {

// Whether the bytes lie in one live allocation of the device.
bool is_device_memory(const void* begin, size_t bytes);

// For the running thread: a fault unless the bytes lie in one live allocation of device or pinned host memory and start
// at a multiple of their number.
void check_global(const char* name, const void* begin, size_t bytes);

// Describes a write past the ends of an allocation since the last call, or is empty. The guard is made whole again.
std::string find_damage();

}  // namespace dllm::emulated
