// The switch for processors without one of their own: POSIX contexts, slower because they ask the kernel every time.
#include "context_switch.h"

#include <ucontext.h>

#include <new>

namespace dllm::emulated {

void* make_context(void* bottom, size_t bytes, void (*entry)()) {
    auto* context = new (bottom) ucontext_t;
    getcontext(context);
    context->uc_stack.ss_sp = context + 1;
    context->uc_stack.ss_size = bytes - sizeof(ucontext_t);
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
    return context;
}

// Where to continue is kept on the stack that is left: it lives as long as it is needed.
void switch_context(void*& from, void* to) {
    ucontext_t here;
    from = &here;
    swapcontext(&here, static_cast<ucontext_t*>(to));
}

}  // namespace dllm::emulated
