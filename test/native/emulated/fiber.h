// A stack of its own for a function that stops in the middle and is continued later.
#pragma once

#include "sanitizer.h"

#include <cstddef>

namespace dllm::emulated {

class Fiber {
public:
    // `index` only spreads the stacks over the cache. Nothing runs before the first resume.
    Fiber(int index, void (*body)(void* argument), void* argument);
    ~Fiber();
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    // Runs the body until some fiber suspends; called from outside of any fiber. The body may not return.
    void resume();
    // Called in the body: goes back to where a fiber was resumed.
    void suspend();
    // Called in the body: goes on in the other fiber, from where that one left off.
    void pass_to(Fiber& other);
    // Forgets where the body stopped; nothing on its stack is destroyed. The next resume starts it anew.
    void restart();

private:
    static void enter();

    std::byte* mapping_;
    size_t mapping_bytes_;
    KnownStack stack_;
    void* context_ = nullptr;
    void (*body_)(void*);
    void* argument_;
};

}  // namespace dllm::emulated
