// Errors of CUDA and cuBLASLt: see check.h.
#include "check.h"

#include "../error.h"
#include "failed_devices.h"

namespace dllm::cuda {
namespace {

thread_local int current = 0;  // CUDA's own answer is an error too once the device has failed

[[noreturn]] void out_of_memory(std::string message) {
    size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) == cudaSuccess)
        message += "; " + std::to_string(free) + " of the device's " + std::to_string(total) + " bytes are free";
    (void)cudaGetLastError();
    fail(ErrorCode::out_of_memory, message);
}

[[noreturn]] void fail_call(cudaError_t cause, const std::string& message) {
    (void)cudaGetLastError();  // forgets it, unless CUDA keeps it
    if (is_lasting(cause)) {
        record_failure(current, message);
        require_alive(current);
    }
    if (cause == cudaErrorMemoryAllocation) out_of_memory(message);
    fail(ErrorCode::device, message);
}

// cuBLASLt has a CUDA runtime of its own, whose last error is not this one's; but every call is refused by a device
// that has failed.
cudaError_t error_of_device() {
    const cudaError_t last = cudaGetLastError();
    size_t free = 0, total = 0;
    return last != cudaSuccess ? last : cudaMemGetInfo(&free, &total);
}

}  // namespace

void make_current(int device) {
    require_alive(device);
    current = device;
    check(cudaSetDevice(device), "cudaSetDevice");
}

void check(cudaError_t status, const char* call) {
    if (status != cudaSuccess) fail_call(status, std::string(call) + " failed: " + describe(status));
}

void check(cublasStatus_t status, const char* call) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    const std::string message = std::string(call) + " failed: " + cublasLtGetStatusName(status);
    const cudaError_t cause = error_of_device();
    if (cause != cudaSuccess) fail_call(cause, message + ", " + describe(cause));
    fail_call(status == CUBLAS_STATUS_ALLOC_FAILED ? cudaErrorMemoryAllocation : cudaErrorUnknown, message);
}

void check_allocation(cudaError_t status, const char* call, size_t bytes, const char* kind) {
    if (status == cudaErrorMemoryAllocation)
        fail_call(status, "cannot allocate " + std::to_string(bytes) + " bytes of " + kind);
    check(status, call);
}

std::string describe(cudaError_t status) {
    return std::string(cudaGetErrorString(status)) + " (" + cudaGetErrorName(status) + ")";
}

}  // namespace dllm::cuda
