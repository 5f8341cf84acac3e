// Working memory of the kernels: kept by each thread and only ever grown, since the same shapes come back every step.
#pragma once

#include <cstdint>

namespace dllm {

enum class ScratchUse {
    shared,  // filled by a loop's caller or by its workers together, read by all of them
    own,     // of one thread inside a loop
};

// At least this many floats, 64-byte aligned, until the thread's next call for the same use. Throws ERR_OUT_OF_MEMORY.
float* scratch(ScratchUse use, int64_t floats);

}  // namespace dllm
