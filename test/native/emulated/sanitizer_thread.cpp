// ThreadSanitizer: it keeps a history of calls for every stack.
#include "sanitizer.h"

#include <sanitizer/tsan_interface.h>

namespace dllm::emulated {

const size_t FIBER_STACK_BYTES = 256 * 1024;

void stack_created(KnownStack& stack) { stack.state = __tsan_create_fiber(0); }
void stack_destroyed(KnownStack& stack) { __tsan_destroy_fiber(stack.state); }

// Not instrumented itself: its return would be booked on the other stack.
[[gnu::no_sanitize_thread]] void leaving(KnownStack& from, const KnownStack& to) {
    from.state = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to.state, 0);
}

void arrived(KnownStack&, KnownStack&) {}
void poison(const void*, size_t) {}
void unpoison(const void*, size_t) {}

}  // namespace dllm::emulated
