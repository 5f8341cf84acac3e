// The device itself: what it says it is, and what is left of it after a kernel failed.
#include <hardware.h>

#include "fixture.h"

namespace dllm::emulated {
namespace {

using namespace cuda;

__global__ void fill_kernel(int* out, int value) { out[threadIdx.x] = value; }

TEST(emulated_device_describes_itself) {
    const FreshDevice fresh;
    int count = 0, number = -1, optin = 0, occupancy = 0;
    cudaDeviceProp properties;
    succeed(cudaGetDeviceCount(&count));
    succeed(cudaSetDevice(0));
    succeed(cudaGetDevice(&number));
    succeed(cudaGetDeviceProperties(&properties, 0));
    succeed(cudaDeviceGetAttribute(&optin, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
    check_equal(count, 1, "devices");
    check_equal(number, 0, "device");
    check_equal(std::string_view(properties.name), "emulated", "name");
    check_equal(properties.major * 10 + properties.minor, 80, "compute capability");
    check_equal(properties.multiProcessorCount, 8, "multiprocessors");
    check_equal(optin, 160 * 1024, "shared memory");
    check_error(cudaSetDevice(1), cudaErrorInvalidDevice);
    check_error(cudaGetDeviceProperties(&properties, 1), cudaErrorInvalidDevice);
    succeed(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&occupancy, fill_kernel, 256, 40 * 1024));
    check_equal(occupancy, 4, "blocks by shared memory");
    succeed(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&occupancy, fill_kernel, 1024, 0));
    check_equal(occupancy, 2, "blocks by threads");
    succeed(cudaFuncSetAttribute(fill_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 160 * 1024));
    check_error(cudaFuncSetAttribute(fill_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 161 * 1024),
                cudaErrorInvalidValue);
}

TEST(emulated_device_may_be_absent) {
    const FreshDevice fresh;
    set_device_count(0);
    int count = -1;
    check_error(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    check_equal(count, 0, "devices");
    void* x = nullptr;
    check_error(cudaMalloc(&x, 8), cudaErrorNoDevice);
    check_equal(std::string_view(cudaGetErrorString(cudaErrorNoDevice)), "no CUDA-capable device is detected", "text");
}

TEST(emulated_failed_kernel_breaks_the_device) {
    const FreshDevice fresh;
    const int64_t launches = launch_count(), live = live_allocations(), handles = live_handles();
    int* x = nullptr;
    cudaStream_t stream = nullptr;
    succeed(cudaMalloc(&x, 4 * sizeof(int)));
    succeed(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    fail_launch(2);
    succeed(launch(fill_kernel, 1, 4, 0, stream, x, 1));
    succeed(launch(fill_kernel, 1, 4, 0, stream, x, 2));  // fails, which shows later
    check_equal(launch_count() - launches, 1, "launches");
    check_error(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
    check_error(launch(fill_kernel, 1, 4, 0, stream, x, 3), cudaErrorIllegalAddress);
    check_error(cudaGetLastError(), cudaErrorIllegalAddress);
    check_error(cudaGetLastError(), cudaErrorIllegalAddress);  // it stays
    check_equal(x[0], 1, "what the kernel before the failed one wrote");
    // What is given back is gone, although the calls report the error.
    check_error(cudaFree(x), cudaErrorIllegalAddress);
    check_error(cudaStreamDestroy(stream), cudaErrorIllegalAddress);
    check_equal(live_allocations() - live, 0, "allocations");
    check_equal(live_handles() - handles, 0, "handles");
    reset();
    succeed(cudaDeviceSynchronize());
}

}  // namespace
}  // namespace dllm::emulated
