// How failed calls of CUDA and cuBLASLt become errors.
#include "../../../native/cuda/check.h"

#include <hardware.h>

#include "fixture.h"

namespace dllm::cuda {
namespace {

using namespace emulated;

TEST(cuda_calls_that_lack_memory_are_out_of_memory) {
    const FreshDevice fresh;
    make_current(0);
    set_device_memory(live_bytes() + 1000);
    const std::string free = "; 1000 of the device's ";
    check_throws([] { check(cudaErrorMemoryAllocation, "cudaStreamCreate"); }, ErrorCode::out_of_memory,
                 "cudaStreamCreate failed: out of memory (cudaErrorMemoryAllocation)" + free);
    check_throws([] { check(CUBLAS_STATUS_ALLOC_FAILED, "cublasLtCreate"); }, ErrorCode::out_of_memory,
                 "cublasLtCreate failed: CUBLAS_STATUS_ALLOC_FAILED" + free);
    check_throws([] { check_allocation(cudaErrorMemoryAllocation, "cudaMalloc", 5000, "device memory"); },
                 ErrorCode::out_of_memory, "cannot allocate 5000 bytes of device memory" + free);
    check_throws([] { check(cudaErrorInvalidValue, "cudaMemcpy"); }, ErrorCode::device,
                 "cudaMemcpy failed: invalid argument (cudaErrorInvalidValue)");
    check_throws([] { check(CUBLAS_STATUS_NOT_SUPPORTED, "cublasLtMatmul"); }, ErrorCode::device,
                 "cublasLtMatmul failed: CUBLAS_STATUS_NOT_SUPPORTED");
    check_equal(failure_of(0), std::string(), "failure");
    check_error(cudaGetLastError(), cudaSuccess);
}

__global__ void faulting_kernel() {}

// cuBLASLt says only that something went wrong; the device knows what.
TEST(cuda_devices_that_fail_under_cublas_are_failed) {
    const FreshDevice fresh;
    make_current(0);
    fail_launch(1);
    (void)launch(faulting_kernel, 1, 1, 0, nullptr);
    check_throws([] { check(CUBLAS_STATUS_EXECUTION_FAILED, "cublasLtMatmul"); }, ErrorCode::device,
                 "cublasLtMatmul failed: CUBLAS_STATUS_EXECUTION_FAILED, an illegal memory access was encountered");
    CHECK(!failure_of(0).empty());
    check_throws([] { make_current(0); }, ErrorCode::device, "a new process can use it again");
}

TEST(cuda_errors_that_last_are_known_by_number) {
    for (const int number : {214, 220, 226, 700, 702, 710, 714, 715, 716, 717, 718, 719, 721, 911})
        CHECK(is_lasting(cudaError_t(number)));
    for (const int number : {0, 1, 2, 100, 400, 600, 701, 900, 910, 999}) CHECK(!is_lasting(cudaError_t(number)));
}

}  // namespace
}  // namespace dllm::cuda
