// The test program's operator new and delete, which count what is held: see allocation_meter.h.
#include "allocation_meter.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> held{0}, most{0};

}  // namespace

void* operator new(size_t size) {
    void* const data = std::malloc(size > 0 ? size : 1);
    if (data == nullptr) throw std::bad_alloc();
    const size_t now = held += malloc_usable_size(data);
    size_t before = most;
    while (before < now && !most.compare_exchange_weak(before, now)) {
    }
    return data;
}

// Else a sanitizer's own, whose memory the operator delete below must not free.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
    try {
        return operator new(size);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void operator delete(void* data) noexcept {
    if (data != nullptr) held -= malloc_usable_size(data);
    std::free(data);
}

void operator delete(void* data, size_t) noexcept { operator delete(data); }

namespace dllm::test {

AllocationMeter::AllocationMeter() : begin_(held) { most = begin_; }

size_t AllocationMeter::peak() const { return most - begin_; }

}  // namespace dllm::test
