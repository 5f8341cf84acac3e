// Fibers: mapped stacks with a page below them that may not be touched.
#include "fiber.h"

#include "context_switch.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <new>

namespace dllm::emulated {

namespace {

// Fibers run under the device's lock, so one at a time.
Fiber* entered = nullptr;    // the last that was
KnownStack* left = nullptr;  // that of the last switch
KnownStack outside;          // where a fiber was resumed
void* outside_context = nullptr;

// Stacks a power of two apart would all want the same few lines of the cache.
constexpr int CACHE_COLORS = 16;
constexpr size_t COLOR_BYTES = 192;

}  // namespace

Fiber::Fiber(int index, void (*body)(void*), void* argument) : body_(body), argument_(argument) {
    const size_t page = size_t(sysconf(_SC_PAGESIZE));
    mapping_bytes_ = FIBER_STACK_BYTES + page;
    void* mapping = mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) throw std::bad_alloc();
    mapping_ = static_cast<std::byte*>(mapping);
    if (mprotect(mapping, page, PROT_NONE) != 0) {
        munmap(mapping, mapping_bytes_);
        throw std::bad_alloc();
    }
    stack_.bottom = mapping_ + page;
    stack_.bytes = FIBER_STACK_BYTES - size_t(index % CACHE_COLORS) * COLOR_BYTES;
    stack_created(stack_);
    context_ = make_context(mapping_ + page, stack_.bytes, &Fiber::enter);
}

Fiber::~Fiber() {
    stack_destroyed(stack_);
    unpoison(stack_.bottom, stack_.bytes);
    munmap(mapping_, mapping_bytes_);
}

void Fiber::restart() {
    stack_destroyed(stack_);
    stack_.state = nullptr;
    stack_created(stack_);
    unpoison(stack_.bottom, stack_.bytes);  // frames that were never left
    context_ = make_context(const_cast<void*>(stack_.bottom), stack_.bytes, &Fiber::enter);
}

void Fiber::enter() {
    Fiber* self = entered;
    arrived(self->stack_, *left);
    self->body_(self->argument_);
    std::abort();  // there is nothing to return to
}

void Fiber::resume() {
    entered = this;
    left = &outside;
    leaving(outside, stack_);
    switch_context(outside_context, context_);
    arrived(outside, *left);
}

void Fiber::suspend() {
    left = &stack_;
    leaving(stack_, outside);
    switch_context(context_, outside_context);
    arrived(stack_, *left);
}

void Fiber::pass_to(Fiber& other) {
    if (&other == this) return;
    entered = &other;
    left = &stack_;
    leaving(stack_, other.stack_);
    switch_context(context_, other.context_);
    arrived(stack_, *left);
}

}  // namespace dllm::emulated
