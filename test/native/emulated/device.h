// The one emulated device: its lock, its state, and the frame around every call of its runtime.
#pragma once

#include <cuda_runtime_api.h>

#include "emulated.h"

#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <unordered_set>

namespace dllm::emulated {

using Delay = std::chrono::nanoseconds;

// One that the emulated cuBLASLt offers.
struct AlgorithmState {
    Delay delay{0};
    bool is_refused = false;
    int64_t runs = 0;
};

struct Device {
    std::recursive_mutex mutex;
    cudaError_t error = cudaSuccess;  // after a failed kernel: of every call
    std::string found_late;           // a fault found where nothing may be thrown; the next launch throws it
    Order order = Order::ascending;
    uint64_t random = 0;
    size_t memory_bytes = size_t(16) << 30;
    int count = 1;
    int compute_capability = 80;
    int driver_version = CUDART_VERSION;
    std::set<const void*>* listed = nullptr;  // where kernels are listed instead of run
    int64_t launches = 0;
    int64_t until_failed_launch = 0;  // 0: none is planted
    int64_t until_failed_allocation = 0;
    int64_t until_failed_handle = 0;
    int64_t until_failed_graph_launch = 0;
    int64_t handles = 0;  // that were asked for
    Delay delay{0};       // by which the clock of events is ahead
    Delay kernel_delay{0}, epilogue_delay{0};
    Refusal epilogue_refusal = Refusal::none;
    bool algorithms_differ = false;  // in their last bits
    AlgorithmState algorithms[ALGORITHMS];
};

Device& device();

// What cudaGetLastError of this thread will return.
void remember_error(cudaError_t error);

// A call of the runtime: under the lock, refused without a device and after a failed kernel.
template <class Body>
cudaError_t runtime_call(Body&& body) {
    const std::lock_guard lock(device().mutex);
    cudaError_t error = device().error;
    if (device().count == 0) error = cudaErrorNoDevice;
    if (device().driver_version < CUDART_VERSION) error = cudaErrorInsufficientDriver;
    if (error == cudaSuccess) error = body();
    if (error != cudaSuccess) remember_error(error);
    return error;
}

// Counts a kernel or a matrix product; false if it must not run, because one failed before or this one is to fail.
bool begin_launch();

// Counts a handle that is asked for; true if it must be refused, for lack of memory.
bool refuse_handle();

// What the runtime hands out by pointer; knows which ones live.
class Handle {
public:
    Handle() { live().insert(this); }
    ~Handle() { live().erase(this); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    static bool is_live(const Handle* handle) { return live().contains(handle); }
    static std::unordered_set<const Handle*>& live();
};

}  // namespace dllm::emulated
