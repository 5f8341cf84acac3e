// Changing from one stack to another. The build chooses context_switch_x86_64.cpp or context_switch_ucontext.cpp.
#pragma once

#include <cstddef>

namespace dllm::emulated {

// A context that starts in `entry`, which never returns, on the stack of `bytes` at `bottom`.
void* make_context(void* bottom, size_t bytes, void (*entry)());

// Leaves the running context in `from` and continues `to`, which is then used up.
void switch_context(void*& from, void* to);

}  // namespace dllm::emulated
