// Devices that this process has lost: see failed_devices.h.
#include "failed_devices.h"

#include "../error.h"

#include <atomic>
#include <map>
#include <mutex>

namespace dllm::cuda {
namespace {

struct Failures {
    std::mutex mutex;
    std::map<int, std::string> reasons;  // by device
};

// Never destroyed: jobs may still run while the process ends.
Failures& failures() {
    static Failures& all = *new Failures;
    return all;
}

std::atomic<bool> any_failed = false;  // every op asks, so the usual answer takes no lock

}  // namespace

// What the CUDA runtime's manual says leaves the process in an inconsistent state.
bool is_lasting(cudaError_t status) {
    // By number, since CUDA 12.4 does not have all of the names.
    constexpr int CONTAINED = 226, TENSOR_MEMORY_LEAK = 721, EXTERNAL_DEVICE = 911;
    switch (int(status)) {
        case CONTAINED:
        case TENSOR_MEMORY_LEAK:
        case EXTERNAL_DEVICE:
        case cudaErrorIllegalAddress:
        case cudaErrorLaunchTimeout:
        case cudaErrorAssert:
        case cudaErrorHardwareStackError:
        case cudaErrorIllegalInstruction:
        case cudaErrorMisalignedAddress:
        case cudaErrorInvalidAddressSpace:
        case cudaErrorInvalidPc:
        case cudaErrorLaunchFailure:
        case cudaErrorECCUncorrectable:
        case cudaErrorNvlinkUncorrectable: return true;
        default: return false;
    }
}

void record_failure(int device, const std::string& reason) {
    const std::lock_guard lock(failures().mutex);
    failures().reasons.try_emplace(device, reason);
    any_failed = true;
}

std::string failure_of(int device) {
    if (!any_failed) return "";
    const std::lock_guard lock(failures().mutex);
    const auto found = failures().reasons.find(device);
    if (found == failures().reasons.end()) return "";
    return "it failed in this process (" + found->second + "); a new process can use it again";
}

void require_alive(int device) {
    const std::string failure = failure_of(device);
    if (!failure.empty()) fail(ErrorCode::device, "cuda:" + std::to_string(device) + " cannot be used: " + failure);
}

void forget_failures() {
    const std::lock_guard lock(failures().mutex);
    failures().reasons.clear();
    any_failed = false;
}

}  // namespace dllm::cuda
