// The running thread's calls, handed to its block.
#include "threads.h"

#include "block.h"

namespace dllm::emulated {

void fault(const std::string& what) { running_block().fault_of_thread(what); }
void wait_for_block(const std::source_location& where) { running_block().wait_at_barrier(where); }

void meet(const Meeting& meeting, void* slot, void (*complete)(const Lanes&)) {
    running_block().meet(meeting, slot, complete);
}

PendingCopies& pending_copies() { return running_block().copies(); }
unsigned shared_address_of(const void* shared) {
    return unsigned(static_cast<const std::byte*>(shared) - shared_begin() + ptrdiff_t(SHARED_WINDOW_BEGIN));
}

std::byte* shared_begin() { return running_block().shared().begin(); }

void check_shared(const char* name, const void* begin, size_t bytes) {
    const SharedMemory& shared = running_block().shared();
    const uintptr_t at = reinterpret_cast<uintptr_t>(begin), first = reinterpret_cast<uintptr_t>(shared.begin());
    if (at < first || at + bytes > first + shared.bytes()) {
        fault(std::string(name) + ": " + std::to_string(bytes) + " bytes at offset " +
              std::to_string(ptrdiff_t(at - first)) + " of " + std::to_string(shared.bytes()) +
              " bytes of shared memory");
    }
    if (at % bytes != 0) {
        fault(std::string(name) + ": an address in shared memory that is not a multiple of " + std::to_string(bytes));
    }
}

}  // namespace dllm::emulated
