// No sanitizer: nobody needs to know.
#include "sanitizer.h"

namespace dllm::emulated {

const size_t FIBER_STACK_BYTES = 64 * 1024;

void stack_created(KnownStack&) {}
void stack_destroyed(KnownStack&) {}
void leaving(KnownStack&, const KnownStack&) {}
void arrived(KnownStack&, KnownStack&) {}
void poison(const void*, size_t) {}
void unpoison(const void*, size_t) {}

}  // namespace dllm::emulated
