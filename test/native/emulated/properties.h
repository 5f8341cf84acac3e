// The limits of the emulated device.
#pragma once

#include <vector_types.h>

#include <cstddef>

namespace dllm::emulated {

inline constexpr int MULTIPROCESSORS = 8, MAX_THREADS = 1024;
inline constexpr dim3 MAX_BLOCK_SHAPE{1024, 1024, 64}, MAX_GRID_SHAPE{2147483647, 65535, 65535};
inline constexpr size_t SHARED_GRANTED_TO_ALL = 48 * 1024, MAX_SHARED_BYTES = 160 * 1024;

}  // namespace dllm::emulated
