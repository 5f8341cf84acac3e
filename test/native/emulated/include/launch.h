// Launching a kernel: its threads run one after the other, now, or when the captured graph is launched.
#pragma once

#include <cuda_runtime.h>

#include <tuple>
#include <type_traits>
#include <utility>

#include "../grid.h"

namespace dllm::cuda {

// Converts the arguments to the kernel's parameter types and keeps them, as CUDA does when it records a launch. Returns
// the error of the launch; a fault in the kernel is thrown as emulated::Fault.
template <class... Parameters, class... Arguments>
[[nodiscard]] cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                                 cudaStream_t stream, Arguments&&... arguments) {
    static_assert(sizeof...(Parameters) == sizeof...(Arguments), "the kernel takes another number of arguments");
    static_assert((std::is_trivially_copyable_v<Parameters> && ...), "arguments reach the device as bytes");
    std::tuple<Parameters...> values(static_cast<Parameters>(std::forward<Arguments>(arguments))...);
    return emulated::launch_grid(
        {reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, [=] { std::apply(kernel, values); }},
        stream);
}

}  // namespace dllm::cuda
