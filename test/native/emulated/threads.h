// What the wrappers of hardware.h call on the thread that is running: barriers, meetings of a warp, shared memory.
#pragma once

#include <cstddef>
#include <source_location>
#include <string>

namespace dllm::emulated {

// Ends the launch: throws a Fault that names the kernel, the block and the running thread.
[[noreturn]] void fault(const std::string& what);

// Waits until every thread of the block waits at this place.
void wait_for_block(const std::source_location& where);

// One call that several lanes of a warp make together.
struct Meeting {
    const char* name;
    std::source_location where;
    unsigned mask;
};

// The lanes that met, and what each of them passed.
class Lanes {
public:
    Lanes(unsigned mask, void* const* slots) : mask_(mask), slots_(slots) {}

    bool contains(int lane) const { return (mask_ >> lane & 1u) != 0; }
    template <class Slot>
    Slot& at(int lane) const {
        return *static_cast<Slot*>(slots_[lane]);
    }

private:
    unsigned mask_;
    void* const* slots_;
};

// Waits until all lanes of the mask are in the same meeting; the last to come computes the results of all, so that none
// runs ahead and changes what another has yet to read.
void meet(const Meeting& meeting, void* slot, void (*complete)(const Lanes& lanes));

std::byte* shared_begin();
// Where it lies in the window of shared addresses.
unsigned shared_address_of(const void* shared);
// A fault unless the bytes lie in the block's shared memory and start at a multiple of their number.
void check_shared(const char* name, const void* begin, size_t bytes);

}  // namespace dllm::emulated
