// Context: see context.h.
#include "context.h"

#include "failed_devices.h"

#include <algorithm>
#include <cstring>

namespace dllm::cuda {

DeviceMemory::DeviceMemory(Context& context, size_t bytes) : context_(context), data_(context.allocate(bytes)) {}

DeviceMemory::~DeviceMemory() { context_.release(data_); }

void StagingRing::upload(void* to, const void* host, size_t bytes, cudaStream_t stream) {
    for (size_t done = 0; done < bytes; done += SLOT_BYTES) {
        const size_t part = std::min(SLOT_BYTES, bytes - done);
        const Slot& slot = slots_[next_];
        std::byte* const pinned = memory_.data() + size_t(next_) * SLOT_BYTES;
        std::byte* const landing = landing_.data() + size_t(next_) * SLOT_BYTES;
        check(cudaEventSynchronize(slot.free), "cudaEventSynchronize");
        std::memcpy(pinned, static_cast<const std::byte*>(host) + done, part);
        check(cudaMemcpyAsync(landing, pinned, part, cudaMemcpyHostToDevice, copies_), "cudaMemcpyAsync");
        check(cudaEventRecord(slot.landed, copies_), "cudaEventRecord");
        check(cudaStreamWaitEvent(stream, slot.landed, 0), "cudaStreamWaitEvent");
        check(cudaMemcpyAsync(static_cast<std::byte*>(to) + done, landing, part, cudaMemcpyDeviceToDevice, stream),
              "cudaMemcpyAsync");
        check(cudaEventRecord(slot.free, stream), "cudaEventRecord");
        next_ = (next_ + 1) % SLOTS;
    }
}

namespace {

int made_current(int device) {
    make_current(device);
    return device;
}

int attribute_of(int device, cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
    return value;
}

}  // namespace

Context::Context(int device)
    : device_(made_current(device)), multiprocessors_(attribute_of(device, cudaDevAttrMultiProcessorCount)),
      shared_bytes_of_half_(attribute_of(device, cudaDevAttrMaxSharedMemoryPerMultiprocessor) / 2 -
                            attribute_of(device, cudaDevAttrReservedSharedMemoryPerBlock)),
      workspace_(*this, WORKSPACE_BYTES), staging_(*this) {}

// Before anything is given back.
Context::~Context() {
    cudaSetDevice(device_);
    cudaStreamSynchronize(stream_);
}

cudaStream_t Context::stream() const {
    make_current(device_);
    return stream_;
}

void Context::begin_capture() {
    // Other threads may allocate meanwhile.
    check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    captures_ = true;
}

cudaGraph_t Context::end_capture() {
    captures_ = false;
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    return graph;
}

void Context::abandon_capture() {
    captures_ = false;
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(stream_, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    (void)cudaGetLastError();
}

void Context::refuse_in_capture(const char* what) const {
    if (captures_) fail(ErrorCode::device, std::string(what) + " cannot be part of a CUDA graph");
}

void* Context::allocate(size_t bytes) {
    refuse_in_capture("an allocation");
    make_current(device_);
    void* data = nullptr;
    check_allocation(cudaMalloc(&data, std::max<size_t>(bytes, 1)), "cudaMalloc", bytes, "device memory");
    return data;
}

void Context::release(void* data) noexcept {
    for (const cudaError_t status : {cudaSetDevice(device_), cudaStreamSynchronize(stream_), cudaFree(data)})
        if (is_lasting(status)) record_failure(device_, cudaGetErrorString(status));
    (void)cudaGetLastError();
}

void Context::upload(void* to, const void* host, size_t bytes) {
    refuse_in_capture("an upload");
    staging_.upload(to, host, bytes, stream());
}

void Context::download(void* host, const void* from, size_t pitch, size_t row_bytes, size_t rows) {
    refuse_in_capture("a download");
    if (rows == 1) {
        check(cudaMemcpyAsync(host, from, row_bytes, cudaMemcpyDeviceToHost, stream()), "cudaMemcpyAsync");
    } else if (rows > 1) {
        check(cudaMemcpy2DAsync(host, row_bytes, from, pitch, row_bytes, rows, cudaMemcpyDeviceToHost, stream()),
              "cudaMemcpy2DAsync");
    }
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
}

void* Scratch::get(size_t bytes) {
    if (bytes > bytes_) {
        context_.refuse_in_capture("growing the working memory");
        memory_.reset();
        bytes_ = 0;
        memory_.emplace(context_, bytes);
        bytes_ = bytes;
    }
    return memory_ ? memory_->data() : nullptr;
}

}  // namespace dllm::cuda
