// Accesses to global memory with a hint, and atomic counters.
#pragma once

#include "../memory.h"

namespace dllm::cuda {

template <class T>
T load_streaming(const T* global) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
    emulated::check_global("load_streaming", global, sizeof(T));
    return *global;
}

template <class T>
void store_streaming(T* global, T value) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
    emulated::check_global("store_streaming", global, sizeof(T));
    *global = value;
}

// Threads take turns, so that no other one comes between.
inline int atomic_add(int* address, int value) {
    const int before = *address;
    *address = int(unsigned(before) + unsigned(value));
    return before;
}

}  // namespace dllm::cuda
