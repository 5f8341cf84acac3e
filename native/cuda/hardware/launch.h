// Launching a kernel on a stream.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <map>
#include <mutex>
#include <tuple>
#include <type_traits>
#include <utility>

namespace dllm::cuda {

// Lets a kernel use that many dynamic shared bytes; without it a kernel gets at most 48 KB. Asks the driver once per
// kernel and device, and again only for more.
inline cudaError_t allow_shared_bytes(const void* kernel, size_t bytes) {
    constexpr size_t GRANTED_TO_ALL = 48 * 1024;
    if (bytes <= GRANTED_TO_ALL) return cudaSuccess;
    struct Granted {
        std::mutex mutex;
        std::map<std::pair<int, const void*>, size_t> bytes;  // by device and kernel
    };
    static Granted& granted = *new Granted;  // never destroyed: jobs may still run while the process ends
    int device = 0;
    if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) return error;
    const std::lock_guard lock(granted.mutex);
    size_t& most = granted.bytes[{device, kernel}];
    if (bytes <= most) return cudaSuccess;
    const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
    if (error == cudaSuccess) most = bytes;
    return error;
}

// Converts the arguments to the kernel's parameter types and launches it. Returns the error of this launch, which
// cudaGetLastError then does not report a second time. A grid or block with a zero in it is an error, as in CUDA.
template <class... Parameters, class... Arguments>
[[nodiscard]] cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                                 cudaStream_t stream, Arguments&&... arguments) {
    static_assert(sizeof...(Parameters) == sizeof...(Arguments), "the kernel takes another number of arguments");
    static_assert((std::is_trivially_copyable_v<Parameters> && ...), "arguments reach the device as bytes");
    const void* function = reinterpret_cast<const void*>(kernel);
    cudaError_t error = allow_shared_bytes(function, shared_bytes);
    if (error == cudaSuccess) {
        std::tuple<Parameters...> values(static_cast<Parameters>(std::forward<Arguments>(arguments))...);
        error = std::apply(
            [&](auto&... value) {
                void* pointers[] = {static_cast<void*>(&value)..., nullptr};
                return cudaLaunchKernel(function, grid, block, pointers, shared_bytes, stream);
            },
            values);
    }
    if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
    return error;
}

}  // namespace dllm::cuda
