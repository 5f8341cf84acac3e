// What a sanitizer must be told about stacks that take turns and about bytes nobody may touch. The build chooses one of
// sanitizer_address.cpp, sanitizer_thread.cpp and sanitizer_none.cpp.
#pragma once

#include <cstddef>

namespace dllm::emulated {

extern const size_t FIBER_STACK_BYTES;

// A stack as a sanitizer knows it.
struct KnownStack {
    const void* bottom = nullptr;
    size_t bytes = 0;
    void* state = nullptr;  // the sanitizer's own
};

void stack_created(KnownStack& stack);
void stack_destroyed(KnownStack& stack);
// Before the switch, on the stack that is left.
void leaving(KnownStack& from, const KnownStack& to);
// After it, on the stack that is entered; `from` learns where the stack lies that was left.
void arrived(KnownStack& here, KnownStack& from);

// Bytes whose use by instrumented code is reported.
void poison(const void* begin, size_t bytes);
void unpoison(const void* begin, size_t bytes);

}  // namespace dllm::emulated
