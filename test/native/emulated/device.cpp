// The state of the emulated device, its controls, and the errors it remembers.
#include "device.h"

#include <utility>

namespace dllm::emulated {

namespace {

thread_local cudaError_t last_error = cudaSuccess;

}  // namespace

Device& device() {
    static Device one;
    return one;
}

void remember_error(cudaError_t error) { last_error = error; }

bool begin_launch() {
    Device& d = device();
    if (!d.found_late.empty()) throw Fault(std::exchange(d.found_late, {}));
    if (d.error != cudaSuccess) return false;
    if (d.until_failed_launch > 0 && --d.until_failed_launch == 0) {
        d.error = cudaErrorIllegalAddress;
        return false;
    }
    d.launches++;
    return true;
}

std::unordered_set<const Handle*>& Handle::live() {
    static std::unordered_set<const Handle*> all;
    return all;
}

void set_order(Order order, uint64_t seed) {
    const std::lock_guard lock(device().mutex);
    device().order = order;
    device().random = seed;
}

void fail_allocation(int64_t n) {
    const std::lock_guard lock(device().mutex);
    device().until_failed_allocation = n;
}

void fail_launch(int64_t n) {
    const std::lock_guard lock(device().mutex);
    device().until_failed_launch = n;
}

void set_device_memory(size_t bytes) {
    const std::lock_guard lock(device().mutex);
    device().memory_bytes = bytes;
}

void set_device_count(int count) {
    const std::lock_guard lock(device().mutex);
    device().count = count;
}

int64_t launch_count() {
    const std::lock_guard lock(device().mutex);
    return device().launches;
}

int64_t live_handles() {
    const std::lock_guard lock(device().mutex);
    return int64_t(Handle::live().size());
}

void reset() {
    Device& d = device();
    const std::lock_guard lock(d.mutex);
    const Device fresh;
    d.error = fresh.error;
    d.found_late.clear();
    d.order = fresh.order;
    d.random = fresh.random;
    d.memory_bytes = fresh.memory_bytes;
    d.count = fresh.count;
    d.until_failed_launch = d.until_failed_allocation = 0;
    remember_error(cudaSuccess);
}

}  // namespace dllm::emulated

using namespace dllm::emulated;

cudaError_t cudaPeekAtLastError() {
    const std::lock_guard lock(device().mutex);
    return device().error != cudaSuccess ? device().error : last_error;
}

cudaError_t cudaGetLastError() {
    const cudaError_t error = cudaPeekAtLastError();
    remember_error(cudaSuccess);
    return error;
}
