// What the threads of a block share: memory and a barrier.
#pragma once

#include <source_location>

#include "../threads.h"

namespace dllm::cuda {

template <class T>
T* shared_memory() {
    return reinterpret_cast<T*>(emulated::shared_begin());
}

inline void sync_threads(std::source_location where = std::source_location::current()) {
    emulated::wait_for_block(where);
}

}  // namespace dllm::cuda
