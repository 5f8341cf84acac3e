// What the tests of the emulation share: a device in its first state, arrays on it, every order of threads.
#pragma once

#include <cuda_runtime.h>

#include "../../../native/cuda/failed_devices.h"
#include "emulated.h"
#include "environment_setting.h"
#include "test.h"

#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace dllm::emulated {

inline void succeed(cudaError_t error, std::source_location where = std::source_location::current()) {
    if (error == cudaSuccess) return;
    throw test::Failure{std::string("got ") + cudaGetErrorName(error), where};
}

inline void check_error(cudaError_t error, cudaError_t expected,
                        std::source_location where = std::source_location::current()) {
    check_equal(std::string_view(cudaGetErrorName(error)), cudaGetErrorName(expected), "error", where);
}

// The device as at first; and again when the test ends. Meanwhile backends time nothing: what is fastest here says
// nothing, and differs from run to run.
struct FreshDevice {
    FreshDevice() { renew(); }
    ~FreshDevice() { renew(); }
    // As in a new process.
    static void renew() {
        reset();
        cuda::forget_failures();
    }
    FreshDevice(const FreshDevice&) = delete;
    FreshDevice& operator=(const FreshDevice&) = delete;

private:
    EnvironmentSetting untimed_{"DLLM_CUDA_TUNE", "off"};
};

// An array in device memory; NaN (all bits set) until it is filled.
template <class T>
class DeviceArray {
public:
    explicit DeviceArray(size_t count) : count_(count) { succeed(cudaMalloc(&data_, count * sizeof(T))); }
    explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) { upload(values); }
    ~DeviceArray() { cudaFree(data_); }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;

    T* data() const { return data_; }
    void upload(const std::vector<T>& values) {
        succeed(cudaMemcpy(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
    }
    std::vector<T> download() const {
        std::vector<T> values(count_);
        succeed(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
        return values;
    }

private:
    size_t count_;
    T* data_ = nullptr;
};

// Runs the function once per order of threads, shuffled ones with several seeds; returns what it returned each time.
template <class Function>
auto in_every_order(Function&& function) {
    std::vector<decltype(function())> results;
    const auto run = [&](Order order, uint64_t seed) {
        set_order(order, seed);
        results.push_back(function());
    };
    run(Order::ascending, 0);
    run(Order::descending, 0);
    for (uint64_t seed = 1; seed <= 3; seed++) run(Order::shuffled, seed);
    return results;
}

// A write that AddressSanitizer does not see, for the faults that the emulation has to find by itself.
template <class T>
[[gnu::noinline, gnu::no_sanitize_address]] void stray_write(T* at, T value) {
    *at = value;
}

}  // namespace dllm::emulated
