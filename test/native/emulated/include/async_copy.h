// Copies from global to shared memory that run beside the thread. Their destination holds NaN from the call until the
// wait that covers them.
#pragma once

#include "../async_copy.h"

namespace dllm::cuda {

inline void cp_async_16(void* shared, const void* global, bool valid = true) {
    emulated::issue_copy("cp_async_16", shared, global, 16, valid);
}

inline void cp_async_commit() { emulated::commit_copies(); }

template <int N>
void cp_async_wait() {
    static_assert(N >= 0);
    emulated::land_copies(N);
}

}  // namespace dllm::cuda
