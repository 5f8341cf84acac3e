// Context: see context.h.
#include "context.h"

#include "failed_devices.h"

#include <algorithm>
#include <cstring>

namespace dllm::cuda {

namespace {

thread_local int current = 0;  // CUDA's own answer is an error too once the device has failed

// Throws ERR_DEVICE where the device has failed before.
void make_current(int device) {
    require_alive(device);
    current = device;
    check(cudaSetDevice(device), "cudaSetDevice");
}

}  // namespace

void check(cudaError_t status, const char* call) {
    if (status == cudaSuccess) return;
    (void)cudaGetLastError();  // forgets it, unless CUDA keeps it
    const std::string message =
        std::string(call) + " failed: " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")";
    if (is_lasting(status)) {
        record_failure(current, message);
        require_alive(current);
    }
    fail(ErrorCode::device, message);
}

void check(cublasStatus_t status, const char* call) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    fail(ErrorCode::device, std::string(call) + " failed: " + cublasLtGetStatusName(status));
}

namespace {

[[noreturn]] void out_of_memory(const char* kind, size_t bytes) {
    (void)cudaGetLastError();
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    fail(ErrorCode::out_of_memory, "cannot allocate " + std::to_string(bytes) + " bytes of " + kind + "; " +
                                       std::to_string(free) + " of the device's " + std::to_string(total) +
                                       " bytes are free");
}

}  // namespace

StagingRing::~StagingRing() {
    for (cudaEvent_t* const events : {landed_, free_})
        for (int slot = 0; slot < SLOTS; slot++)
            if (events[slot] != nullptr) cudaEventDestroy(events[slot]);
    if (copies_ != nullptr) cudaStreamDestroy(copies_);
    if (landing_ != nullptr) cudaFree(landing_);
    if (memory_ != nullptr) cudaFreeHost(memory_);
}

void StagingRing::open() {
    constexpr size_t BYTES = SLOTS * SLOT_BYTES;
    cudaError_t status = cudaMallocHost(&memory_, BYTES);
    if (status == cudaErrorMemoryAllocation) out_of_memory("pinned host memory", BYTES);
    check(status, "cudaMallocHost");
    status = cudaMalloc(&landing_, BYTES);
    if (status == cudaErrorMemoryAllocation) out_of_memory("device memory", BYTES);
    check(status, "cudaMalloc");
    check(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), "cudaStreamCreate");
    for (cudaEvent_t* const events : {landed_, free_})
        for (int slot = 0; slot < SLOTS; slot++)
            check(cudaEventCreateWithFlags(&events[slot], cudaEventDisableTiming), "cudaEventCreate");
}

void StagingRing::upload(void* to, const void* host, size_t bytes, cudaStream_t stream) {
    for (size_t done = 0; done < bytes; done += SLOT_BYTES) {
        const size_t part = std::min(SLOT_BYTES, bytes - done);
        std::byte* const slot = static_cast<std::byte*>(memory_) + size_t(next_) * SLOT_BYTES;
        std::byte* const landing = static_cast<std::byte*>(landing_) + size_t(next_) * SLOT_BYTES;
        check(cudaEventSynchronize(free_[next_]), "cudaEventSynchronize");
        std::memcpy(slot, static_cast<const std::byte*>(host) + done, part);
        check(cudaMemcpyAsync(landing, slot, part, cudaMemcpyHostToDevice, copies_), "cudaMemcpyAsync");
        check(cudaEventRecord(landed_[next_], copies_), "cudaEventRecord");
        check(cudaStreamWaitEvent(stream, landed_[next_], 0), "cudaStreamWaitEvent");
        check(cudaMemcpyAsync(static_cast<std::byte*>(to) + done, landing, part, cudaMemcpyDeviceToDevice, stream),
              "cudaMemcpyAsync");
        check(cudaEventRecord(free_[next_], stream), "cudaEventRecord");
        next_ = (next_ + 1) % SLOTS;
    }
}

Context::Context(int device) : device_(device) {
    try {
        make_current(device);
        const auto attribute = [&](cudaDeviceAttr which) {
            int value = 0;
            check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
            return value;
        };
        multiprocessors_ = attribute(cudaDevAttrMultiProcessorCount);
        shared_bytes_of_half_ = attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor) / 2 -
                                attribute(cudaDevAttrReservedSharedMemoryPerBlock);
        check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
        check(cublasLtCreate(&cublas_), "cublasLtCreate");
        workspace_ = allocate(WORKSPACE_BYTES);
        staging_.open();
    } catch (...) {
        close();
        throw;
    }
}

Context::~Context() { close(); }

void Context::close() {
    cudaSetDevice(device_);
    if (stream_ != nullptr) cudaStreamSynchronize(stream_);
    if (workspace_ != nullptr) cudaFree(workspace_);
    if (cublas_ != nullptr) cublasLtDestroy(cublas_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
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
    const cudaError_t status = cudaMalloc(&data, std::max<size_t>(bytes, 1));
    if (status == cudaErrorMemoryAllocation) out_of_memory("device memory", bytes);
    check(status, "cudaMalloc");
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

Scratch::~Scratch() {
    if (data_ != nullptr) cudaFree(data_);
}

void* Scratch::get(size_t bytes) {
    if (bytes <= bytes_) return data_;
    context_.refuse_in_capture("growing the working memory");
    if (data_ != nullptr) context_.release(data_);
    data_ = nullptr, bytes_ = 0;
    data_ = context_.allocate(bytes);
    bytes_ = bytes;
    return data_;
}

}  // namespace dllm::cuda
