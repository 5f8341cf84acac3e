// Trying work on a device: timed by events, with memory of its own.
#pragma once

#include "../tensor.h"
#include "context.h"

#include <functional>
#include <optional>

namespace dllm::cuda {

// Memory of the device for as long as this lives.
class DeviceMemory {
public:
    // Throws ERR_OUT_OF_MEMORY.
    DeviceMemory(Context& context, size_t bytes) : data_(context.allocate(bytes)) {}
    ~DeviceMemory() { cudaFree(data_); }
    DeviceMemory(const DeviceMemory&) = delete;
    DeviceMemory& operator=(const DeviceMemory&) = delete;

    std::byte* data() const { return static_cast<std::byte*>(data_); }

private:
    void* data_;
};

// A place like a tensor's, as wide and as badly aligned, for what a trial writes.
class Elsewhere {
public:
    // Throws ERR_OUT_OF_MEMORY.
    Elsewhere(Context& context, const Tensor& like)
        : tensor_(like), offset_(reinterpret_cast<uintptr_t>(like.data) % 256),
          memory_(context, offset_ + bytes(like)) {
        tensor_.data = memory_.data() + offset_;
    }

    const Tensor& tensor() const { return tensor_; }

private:
    static size_t bytes(const Tensor& x) {
        return size_t((x.rows - 1) * x.stride + x.cols) * size_t(dtype_bytes(x.dtype));
    }

    Tensor tensor_;
    size_t offset_;
    DeviceMemory memory_;
};

class Stopwatch {
public:
    // Throws ERR_OUT_OF_MEMORY, ERR_DEVICE.
    explicit Stopwatch(Context& context);
    ~Stopwatch();
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

    // Milliseconds: the median of some runs after one that does not count. work() enqueues on the context's stream and
    // says whether it could; nothing, if it could not. Throws ERR_DEVICE if the device fails.
    std::optional<float> median(const std::function<bool()>& work);

private:
    static constexpr int RUNS = 5;

    void close();

    Context& context_;
    size_t cache_bytes_;
    DeviceMemory cache_;
    cudaEvent_t begin_[RUNS] = {}, end_[RUNS] = {};
};

}  // namespace dllm::cuda
