// Copies from global to shared memory that the running thread has issued and not yet waited for.
#pragma once

#include <cstddef>
#include <vector>

namespace dllm::emulated {

void issue_copy(const char* name, void* shared, const void* global, int bytes, bool valid);
void commit_copies();
// Lands all groups but the latest `pending`.
void land_copies(int pending);

// What one thread has under way.
struct PendingCopies {
    struct Copy {
        void* shared;
        const void* global;
        int bytes;
        bool valid;
        int group;
    };
    std::vector<Copy> copies;
    int group = 0;  // that the next copy belongs to
};

// Of the running thread.
PendingCopies& pending_copies();

}  // namespace dllm::emulated
