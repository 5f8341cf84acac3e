// AddressSanitizer: it must know which stack is in use, and refuses the poisoned bytes. Its frames are larger.
#include "sanitizer.h"

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

namespace dllm::emulated {

const size_t FIBER_STACK_BYTES = 256 * 1024;

void stack_created(KnownStack&) {}
void stack_destroyed(KnownStack&) {}

void leaving(KnownStack& from, const KnownStack& to) {
    __sanitizer_start_switch_fiber(&from.state, to.bottom, to.bytes);
}

void arrived(KnownStack& here, KnownStack& from) {
    __sanitizer_finish_switch_fiber(here.state, &from.bottom, &from.bytes);
}

void poison(const void* begin, size_t bytes) { __asan_poison_memory_region(begin, bytes); }
void unpoison(const void* begin, size_t bytes) { __asan_unpoison_memory_region(begin, bytes); }

}  // namespace dllm::emulated
