// What one model owns on a GPU: its device, its stream, its cuBLASLt handle and staging memory. Used by one thread at a
// time.
#pragma once

#include "../error.h"
#include "check.h"
#include "handles.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace dllm::cuda {

class Context;

// Memory of the device for as long as this lives.
class DeviceMemory {
public:
    // Throws ERR_OUT_OF_MEMORY.
    DeviceMemory(Context& context, size_t bytes);
    ~DeviceMemory();
    DeviceMemory(const DeviceMemory&) = delete;
    DeviceMemory& operator=(const DeviceMemory&) = delete;

    std::byte* data() const { return static_cast<std::byte*>(data_); }

private:
    Context& context_;
    void* data_;
};

// Pinned host memory in a ring, and as much on the device: a copy to the device lands there on a stream of its own,
// while earlier work still runs and the next slot is filled, and goes on to its place in the order of that work.
class StagingRing {
public:
    explicit StagingRing(Context& context) : memory_(SLOTS * SLOT_BYTES), landing_(context, SLOTS * SLOT_BYTES) {}
    StagingRing(const StagingRing&) = delete;
    StagingRing& operator=(const StagingRing&) = delete;

    // Enqueues a copy of host bytes, which may change as soon as this returns, before what follows on the stream.
    void upload(void* to, const void* host, size_t bytes, cudaStream_t stream);

private:
    static constexpr int SLOTS = 4;
    static constexpr size_t SLOT_BYTES = size_t(1) << 20;

    struct Slot {
        CudaEvent landed{cudaEventDisableTiming};  // after the copy to the device
        CudaEvent free{cudaEventDisableTiming};    // after the copy to its place
    };

    PinnedMemory memory_;
    DeviceMemory landing_;
    CudaStream copies_;
    Slot slots_[SLOTS];
    int next_ = 0;
};

class Context {
public:
    // Throws ERR_DEVICE, ERR_OUT_OF_MEMORY.
    explicit Context(int device);
    ~Context();
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    // Makes the device current on the calling thread. Throws ERR_DEVICE where it has failed before.
    cudaStream_t stream() const;
    int device() const { return device_; }
    cublasLtHandle_t cublas() const { return cublas_; }
    void* workspace() const { return workspace_.data(); }
    int multiprocessors() const { return multiprocessors_; }
    // Bytes of shared memory of a block that shares its multiprocessor with another one.
    int shared_bytes_of_half() const { return shared_bytes_of_half_; }

    // Records what is enqueued on the stream instead of running it. Until it ends, what cannot be recorded throws.
    void begin_capture();
    // The graph, which the caller destroys. Throws ERR_DEVICE when something has spoiled it.
    cudaGraph_t end_capture();
    void abandon_capture();
    bool captures() const { return captures_; }
    void refuse_in_capture(const char* what) const;

    // Throws ERR_OUT_OF_MEMORY with the bytes asked for and free.
    void* allocate(size_t bytes);
    // Waits for the work that may still use it. Destructors call it, so a failed device shows later.
    void release(void* data) noexcept;
    void upload(void* to, const void* host, size_t bytes);
    // Rows of so many bytes, `pitch` apart on the device. Waits for everything enqueued so far.
    void download(void* host, const void* from, size_t pitch, size_t row_bytes, size_t rows);

    static constexpr size_t WORKSPACE_BYTES = size_t(32) << 20;

private:
    int device_;
    int multiprocessors_ = 0, shared_bytes_of_half_ = 0;
    bool captures_ = false;
    CudaStream stream_;
    CublasLt cublas_;
    DeviceMemory workspace_;
    StagingRing staging_;
};

// Working memory of ops: one buffer, kept and grown, since the same shapes come back every step.
class Scratch {
public:
    explicit Scratch(Context& context) : context_(context) {}

    // At least this many bytes, valid until the next call.
    void* get(size_t bytes);
    // Where recorded ops have their working memory, as long as this does not change.
    const void* address() const { return memory_ ? memory_->data() : nullptr; }

private:
    Context& context_;
    std::optional<DeviceMemory> memory_;
    size_t bytes_ = 0;
};

}  // namespace dllm::cuda
