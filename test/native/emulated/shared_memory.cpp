// Shared memory between two guards, poisoned beyond what the launch asked for.
#include "shared_memory.h"

#include "guard.h"
#include "properties.h"
#include "sanitizer.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace dllm::emulated {

namespace {

constexpr size_t ALIGNMENT = 1024, GUARD_BYTES = 1024;

}  // namespace

SharedMemory::SharedMemory()
    : mapping_(static_cast<std::byte*>(std::aligned_alloc(ALIGNMENT, MAX_SHARED_BYTES + 2 * GUARD_BYTES))) {
    if (mapping_ == nullptr) throw std::bad_alloc();
    begin_ = mapping_ + GUARD_BYTES;
    fill_guard(mapping_, GUARD_BYTES);
    poison(mapping_, GUARD_BYTES);
}

SharedMemory::~SharedMemory() {
    unpoison(mapping_, MAX_SHARED_BYTES + 2 * GUARD_BYTES);
    std::free(mapping_);
}

void SharedMemory::prepare(size_t bytes) {
    const bool whole = bytes == bytes_ && find_damage().empty();
    bytes_ = bytes;
    if (!whole) {
        unpoison(mapping_, MAX_SHARED_BYTES + 2 * GUARD_BYTES);
        fill_guard(mapping_, GUARD_BYTES);
        fill_guard(begin_ + bytes, GUARD_BYTES);
        poison(mapping_, GUARD_BYTES);
        poison(begin_ + bytes, MAX_SHARED_BYTES - bytes + GUARD_BYTES);
    }
    std::memset(begin_, 0xFF, bytes);
}

std::string SharedMemory::find_damage() const {
    const std::string whole = " the block's " + std::to_string(bytes_) + " bytes of shared memory";
    if (const ptrdiff_t offset = damaged_byte(begin_ + bytes_, GUARD_BYTES); offset >= 0) {
        return "wrote " + std::to_string(offset) + " bytes past the end of" + whole;
    }
    if (const ptrdiff_t offset = damaged_byte(mapping_, GUARD_BYTES); offset >= 0) {
        return "wrote " + std::to_string(ptrdiff_t(GUARD_BYTES) - offset) + " bytes before the start of" + whole;
    }
    return "";
}

}  // namespace dllm::emulated
