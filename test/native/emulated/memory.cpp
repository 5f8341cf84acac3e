// Allocation of device and pinned host memory, with accounts, planted failures, and guards around device memory.
#include "memory.h"

#include "device.h"
#include "guard.h"
#include "sanitizer.h"
#include "stream.h"
#include "threads.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

namespace dllm::emulated {

namespace {

constexpr size_t ALIGNMENT = 256, GUARD_BYTES = 512;

struct Allocation {
    size_t bytes;
    bool on_device;
};

// By address of the first byte; ordered, so that an address in the middle is found too.
std::map<const std::byte*, Allocation>& allocations() {
    static std::map<const std::byte*, Allocation> all;
    return all;
}

int64_t allocation_calls = 0;
size_t device_bytes = 0;

cudaError_t allocate(void** out, size_t bytes, bool on_device) {
    if (out == nullptr) return cudaErrorInvalidValue;
    if (const cudaError_t error = unsafe_while_capturing(); error != cudaSuccess) return error;
    *out = nullptr;
    if (bytes == 0) return cudaSuccess;
    allocation_calls++;
    Device& d = device();
    if (d.until_failed_allocation > 0 && --d.until_failed_allocation == 0) return cudaErrorMemoryAllocation;
    if (on_device && (bytes > d.memory_bytes || device_bytes > d.memory_bytes - bytes))
        return cudaErrorMemoryAllocation;
    const size_t total = (bytes + 2 * GUARD_BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    auto* raw = static_cast<std::byte*>(std::aligned_alloc(ALIGNMENT, total));
    if (raw == nullptr) return cudaErrorMemoryAllocation;
    std::byte* const begin = raw + GUARD_BYTES;
    std::memset(begin, 0xFF, bytes);
    for (std::byte* guard : {raw, begin + bytes}) {
        fill_guard(guard, GUARD_BYTES);
        poison(guard, GUARD_BYTES);
    }
    allocations()[begin] = {bytes, on_device};
    if (on_device) device_bytes += bytes;
    *out = begin;
    return cudaSuccess;
}

// The allocation in which the address lies, or which ends there.
auto find(const std::byte* at) {
    auto after = allocations().upper_bound(at);
    if (after == allocations().begin()) return allocations().end();
    const auto found = std::prev(after);
    return at <= found->first + found->second.bytes ? found : allocations().end();
}

// A guard that was written to, as text; the guard is made whole.
std::string damage_of(const std::byte* begin, const Allocation& allocation) {
    const std::byte* const end = begin + allocation.bytes;
    const auto mend = [](const std::byte* guard) {
        unpoison(guard, GUARD_BYTES);
        fill_guard(const_cast<std::byte*>(guard), GUARD_BYTES);
        poison(guard, GUARD_BYTES);
    };
    std::string what;
    if (const ptrdiff_t offset = damaged_byte(end, GUARD_BYTES); offset >= 0) {
        mend(end);
        what = std::to_string(offset) + " bytes past the end";
    } else if (const ptrdiff_t before = damaged_byte(begin - GUARD_BYTES, GUARD_BYTES); before >= 0) {
        mend(begin - GUARD_BYTES);
        what = std::to_string(ptrdiff_t(GUARD_BYTES) - before) + " bytes before the start";
    } else {
        return "";
    }
    return "wrote to memory " + what + " of an allocation of " + std::to_string(allocation.bytes) + " bytes";
}

cudaError_t release(void* data, bool on_device) {
    if (const cudaError_t error = unsafe_while_capturing(); error != cudaSuccess) return error;
    if (data == nullptr) return cudaSuccess;
    const auto found = allocations().find(static_cast<const std::byte*>(data));
    if (found == allocations().end() || found->second.on_device != on_device) return cudaErrorInvalidValue;
    const std::string damage = damage_of(found->first, found->second);
    if (!damage.empty()) device().found_late = "found when it was freed: something " + damage;
    std::byte* const raw = static_cast<std::byte*>(data) - GUARD_BYTES;
    const size_t bytes = found->second.bytes;
    unpoison(raw, bytes + 2 * GUARD_BYTES);
    if (on_device) device_bytes -= bytes;
    allocations().erase(found);
    std::free(raw);
    return cudaSuccess;
}

// After a failed kernel the call is refused, but the accounts shall still show what was never given back.
cudaError_t release_even_after_failure(void* data, bool on_device) {
    const std::lock_guard lock(device().mutex);
    const cudaError_t failed = device().error;
    if (failed == cudaSuccess) return runtime_call([&] { return release(data, on_device); });
    release(data, on_device);
    remember_error(failed);
    return failed;
}

}  // namespace

bool is_device_memory(const void* data, size_t bytes) {
    const auto* begin = static_cast<const std::byte*>(data);
    const auto found = find(begin);
    if (found == allocations().end() || !found->second.on_device) return false;
    return bytes <= size_t(found->first + found->second.bytes - begin);
}

void check_global(const char* name, const void* data, size_t bytes) {
    if (reinterpret_cast<uintptr_t>(data) % bytes != 0) {
        fault(std::string(name) + ": an address in global memory that is not a multiple of " + std::to_string(bytes));
    }
    const auto* begin = static_cast<const std::byte*>(data);
    const auto found = find(begin);
    if (found == allocations().end()) fault(std::string(name) + ": an address outside of all global memory");
    const size_t offset = size_t(begin - found->first), total = found->second.bytes;
    if (bytes > total - offset) {
        fault(std::string(name) + ": " + std::to_string(bytes) + " bytes at offset " + std::to_string(offset) +
              " of an allocation of " + std::to_string(total) + " bytes");
    }
}

std::string find_damage() {
    std::string first;
    for (const auto& [begin, allocation] : allocations()) {
        std::string damage = damage_of(begin, allocation);
        if (first.empty()) first = std::move(damage);
    }
    return first;
}

int64_t allocation_count() {
    const std::lock_guard lock(device().mutex);
    return allocation_calls;
}

size_t live_bytes() {
    const std::lock_guard lock(device().mutex);
    return device_bytes;
}

int64_t live_allocations() {
    const std::lock_guard lock(device().mutex);
    return int64_t(allocations().size());
}

}  // namespace dllm::emulated

using namespace dllm::emulated;

cudaError_t cudaMalloc(void** data, size_t bytes) {
    return runtime_call([&] { return allocate(data, bytes, true); });
}

cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
    return runtime_call([&] { return allocate(data, bytes, false); });
}

cudaError_t cudaMallocHost(void** data, size_t bytes) { return cudaHostAlloc(data, bytes, cudaHostAllocDefault); }
cudaError_t cudaFree(void* data) { return release_even_after_failure(data, true); }
cudaError_t cudaFreeHost(void* data) { return release_even_after_failure(data, false); }

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    return runtime_call([&] {
        if (free == nullptr || total == nullptr) return cudaErrorInvalidValue;
        *total = device().memory_bytes;
        *free = *total > device_bytes ? *total - device_bytes : 0;
        return cudaSuccess;
    });
}
