// Asynchronous copies: the latest moment that the hardware allows is the wait, so that is when the bytes arrive. Before
// it the destination is NaN, so that a reader who comes too early, or who still needed what was there, is found out.
#include "async_copy.h"

#include "block.h"
#include "memory.h"
#include "threads.h"

#include <cstring>

namespace dllm::emulated {

void issue_copy(const char* name, void* shared, const void* global, int bytes, bool valid) {
    check_shared(name, shared, size_t(bytes));
    if (valid) check_global(name, global, size_t(bytes));
    std::memset(shared, 0xFF, size_t(bytes));
    PendingCopies& own = pending_copies();
    own.copies.push_back({shared, global, bytes, valid, own.group});
}

void commit_copies() { pending_copies().group++; }

void land_copies(int pending) {
    PendingCopies& own = pending_copies();
    const int landing = own.group - pending;  // groups below it
    const size_t landed = std::erase_if(own.copies, [landing](const PendingCopies::Copy& copy) {
        if (copy.group >= landing) return false;
        if (copy.valid) {
            std::memcpy(copy.shared, copy.global, size_t(copy.bytes));
        } else {
            std::memset(copy.shared, 0, size_t(copy.bytes));
        }
        return true;
    });
    Block& block = running_block();
    if (landed > 0) block.async_proxy().copy_landed(block.thread_number());
}

}  // namespace dllm::emulated
