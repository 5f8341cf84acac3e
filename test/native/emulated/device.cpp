// The state of the emulated device, its controls, and the errors it remembers.
#include "device.h"

#include <algorithm>
#include <iterator>
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

bool refuse_handle() {
    Device& d = device();
    d.handles++;
    return d.until_failed_handle > 0 && --d.until_failed_handle == 0;
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

void list_kernels(std::set<const void*>* into) {
    const std::lock_guard lock(device().mutex);
    device().listed = into;
}

void fail_allocation(int64_t n) {
    const std::lock_guard lock(device().mutex);
    device().until_failed_allocation = n;
}

void fail_handle(int64_t n) {
    const std::lock_guard lock(device().mutex);
    device().until_failed_handle = n;
}

void fail_launch(int64_t n) {
    const std::lock_guard lock(device().mutex);
    device().until_failed_launch = n;
}

void fail_graph_launch(int64_t n) {
    const std::lock_guard lock(device().mutex);
    device().until_failed_graph_launch = n;
}

void set_device_memory(size_t bytes) {
    const std::lock_guard lock(device().mutex);
    device().memory_bytes = bytes;
}

void set_compute_capability(int capability) {
    const std::lock_guard lock(device().mutex);
    device().compute_capability = capability;
}

void set_device_count(int count) {
    const std::lock_guard lock(device().mutex);
    device().count = count;
}

void set_driver_version(int version) {
    const std::lock_guard lock(device().mutex);
    device().driver_version = version;
}

namespace {

Delay delay_of(double milliseconds) {
    return std::chrono::duration_cast<Delay>(std::chrono::duration<double, std::milli>(milliseconds));
}

}  // namespace

void slow_algorithm(int n, double milliseconds) {
    const std::lock_guard lock(device().mutex);
    device().algorithms[n].delay = delay_of(milliseconds);
}

void slow_epilogues(double milliseconds) {
    const std::lock_guard lock(device().mutex);
    device().epilogue_delay = delay_of(milliseconds);
}

void slow_kernels(double milliseconds) {
    const std::lock_guard lock(device().mutex);
    device().kernel_delay = delay_of(milliseconds);
}

void refuse_algorithm(int n) {
    const std::lock_guard lock(device().mutex);
    device().algorithms[n].is_refused = true;
}

void tell_algorithms_apart() {
    const std::lock_guard lock(device().mutex);
    device().algorithms_differ = true;
}

void refuse_epilogues(Refusal where) {
    const std::lock_guard lock(device().mutex);
    device().epilogue_refusal = where;
}

int64_t algorithm_runs(int n) {
    const std::lock_guard lock(device().mutex);
    return device().algorithms[n].runs;
}

int64_t handle_count() {
    const std::lock_guard lock(device().mutex);
    return device().handles;
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
    d.listed = nullptr;
    d.order = fresh.order;
    d.random = fresh.random;
    d.memory_bytes = fresh.memory_bytes;
    d.count = fresh.count;
    d.compute_capability = fresh.compute_capability;
    d.driver_version = fresh.driver_version;
    d.until_failed_launch = d.until_failed_allocation = d.until_failed_handle = d.until_failed_graph_launch = 0;
    d.kernel_delay = fresh.kernel_delay, d.epilogue_delay = fresh.epilogue_delay;
    d.epilogue_refusal = fresh.epilogue_refusal, d.algorithms_differ = fresh.algorithms_differ;
    std::copy(std::begin(fresh.algorithms), std::end(fresh.algorithms), std::begin(d.algorithms));
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
