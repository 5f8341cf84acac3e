// What the emulated device says about itself: 8 multiprocessors of a compute capability that a test may change.
#include "properties.h"

#include "device.h"

#include <algorithm>
#include <cstring>

namespace dllm::emulated {

namespace {

constexpr int THREADS_PER_MULTIPROCESSOR = 2048, BLOCKS_PER_MULTIPROCESSOR = 32, REGISTERS = 65536;
constexpr int SHARED_PER_MULTIPROCESSOR = 164 * 1024, SHARED_RESERVED = 1024, L2_BYTES = 4 << 20;

cudaError_t attribute(int& value, cudaDeviceAttr which) {
    switch (which) {
        case cudaDevAttrMaxThreadsPerBlock: value = MAX_THREADS; return cudaSuccess;
        case cudaDevAttrMaxBlockDimX: value = int(MAX_BLOCK_SHAPE.x); return cudaSuccess;
        case cudaDevAttrMaxBlockDimY: value = int(MAX_BLOCK_SHAPE.y); return cudaSuccess;
        case cudaDevAttrMaxBlockDimZ: value = int(MAX_BLOCK_SHAPE.z); return cudaSuccess;
        case cudaDevAttrMaxGridDimX: value = int(MAX_GRID_SHAPE.x); return cudaSuccess;
        case cudaDevAttrMaxGridDimY: value = int(MAX_GRID_SHAPE.y); return cudaSuccess;
        case cudaDevAttrMaxGridDimZ: value = int(MAX_GRID_SHAPE.z); return cudaSuccess;
        case cudaDevAttrMaxSharedMemoryPerBlock: value = int(SHARED_GRANTED_TO_ALL); return cudaSuccess;
        case cudaDevAttrWarpSize: value = 32; return cudaSuccess;
        case cudaDevAttrMaxRegistersPerBlock: value = REGISTERS; return cudaSuccess;
        case cudaDevAttrMultiProcessorCount: value = MULTIPROCESSORS; return cudaSuccess;
        case cudaDevAttrL2CacheSize: value = L2_BYTES; return cudaSuccess;
        case cudaDevAttrMaxThreadsPerMultiProcessor: value = THREADS_PER_MULTIPROCESSOR; return cudaSuccess;
        case cudaDevAttrComputeCapabilityMajor: value = device().compute_capability / 10; return cudaSuccess;
        case cudaDevAttrComputeCapabilityMinor: value = device().compute_capability % 10; return cudaSuccess;
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor: value = SHARED_PER_MULTIPROCESSOR; return cudaSuccess;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: value = int(MAX_SHARED_BYTES); return cudaSuccess;
        case cudaDevAttrMaxBlocksPerMultiprocessor: value = BLOCKS_PER_MULTIPROCESSOR; return cudaSuccess;
        case cudaDevAttrReservedSharedMemoryPerBlock: value = SHARED_RESERVED; return cudaSuccess;
    }
    return cudaErrorInvalidValue;
}

void describe(cudaDeviceProp& p) {
    p = {};
    std::strcpy(p.name, "emulated");
    p.totalGlobalMem = device().memory_bytes;
    p.sharedMemPerBlock = SHARED_GRANTED_TO_ALL;
    p.regsPerBlock = REGISTERS;
    p.warpSize = 32;
    p.maxThreadsPerBlock = MAX_THREADS;
    const unsigned block[] = {MAX_BLOCK_SHAPE.x, MAX_BLOCK_SHAPE.y, MAX_BLOCK_SHAPE.z};
    const unsigned grid[] = {MAX_GRID_SHAPE.x, MAX_GRID_SHAPE.y, MAX_GRID_SHAPE.z};
    std::copy_n(block, 3, p.maxThreadsDim);
    std::copy_n(grid, 3, p.maxGridSize);
    p.major = device().compute_capability / 10;
    p.minor = device().compute_capability % 10;
    p.multiProcessorCount = MULTIPROCESSORS;
    p.l2CacheSize = L2_BYTES;
    p.maxThreadsPerMultiProcessor = THREADS_PER_MULTIPROCESSOR;
    p.sharedMemPerMultiprocessor = SHARED_PER_MULTIPROCESSOR;
    p.sharedMemPerBlockOptin = MAX_SHARED_BYTES;
    p.maxBlocksPerMultiProcessor = BLOCKS_PER_MULTIPROCESSOR;
    p.reservedSharedMemPerBlock = SHARED_RESERVED;
}

}  // namespace

}  // namespace dllm::emulated

using namespace dllm::emulated;

cudaError_t cudaGetDeviceCount(int* count) {
    if (count == nullptr) return runtime_call([] { return cudaErrorInvalidValue; });
    const std::lock_guard lock(device().mutex);
    *count = device().count;
    return runtime_call([] { return cudaSuccess; });
}

cudaError_t cudaGetDevice(int* number) {
    return runtime_call([&] {
        if (number == nullptr) return cudaErrorInvalidValue;
        *number = 0;
        return cudaSuccess;
    });
}

cudaError_t cudaSetDevice(int number) {
    return runtime_call([&] { return number == 0 ? cudaSuccess : cudaErrorInvalidDevice; });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
    return runtime_call([&] {
        if (properties == nullptr) return cudaErrorInvalidValue;
        if (number != 0) return cudaErrorInvalidDevice;
        describe(*properties);
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int number) {
    return runtime_call([&] {
        if (value == nullptr) return cudaErrorInvalidValue;
        return number == 0 ? attribute(*value, which) : cudaErrorInvalidDevice;
    });
}

cudaError_t cudaDriverGetVersion(int* version) {
    const std::lock_guard lock(device().mutex);
    *version = device().driver_version;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
    return runtime_call([&] {
        if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
        const int most = attribute == cudaFuncAttributeMaxDynamicSharedMemorySize ? int(MAX_SHARED_BYTES) : 100;
        return value >= -1 && value <= most ? cudaSuccess : cudaErrorInvalidValue;
    });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel, int threads,
                                                          size_t shared_bytes) {
    return runtime_call([&] {
        if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
        if (blocks == nullptr || threads < 1) return cudaErrorInvalidValue;
        const int by_threads = threads > MAX_THREADS ? 0 : THREADS_PER_MULTIPROCESSOR / threads;
        const size_t by_shared =
            shared_bytes > MAX_SHARED_BYTES ? 0 : SHARED_PER_MULTIPROCESSOR / (shared_bytes + SHARED_RESERVED);
        *blocks = std::min({by_threads, int(by_shared), BLOCKS_PER_MULTIPROCESSOR});
        return cudaSuccess;
    });
}
