// From a tensor's run-time facts to a kernel's template arguments, and from a Tensor to what a kernel takes.
#pragma once

#include "../op_check.h"
#include "../tensor.h"
#include "element.h"

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <type_traits>

namespace dllm::cuda {

// Rows of equal width, `stride` elements apart. data may be null.
template <class T>
struct Rows {
    T* data;
    int64_t stride;

    __device__ T* row(int64_t index) const { return data + index * stride; }
};

template <class T>
Rows<T> rows_of(const Tensor& x) {
    return {static_cast<T*>(x.data), x.stride};
}

// Whether each row of each tensor (null ones aside) is whole 16-byte groups at addresses of 16 bytes.
inline bool in_packs(std::initializer_list<Tensor> tensors) {
    for (const Tensor& x : tensors) {
        if (!x) continue;
        const int64_t pack = 16 / dtype_bytes(x.dtype);
        const bool aligned = reinterpret_cast<uintptr_t>(x.data) % 16 == 0;
        if (!aligned || x.cols % pack != 0 || (x.rows > 1 && x.stride % pack != 0)) return false;
    }
    return true;
}

// call(T{}): T is float or bfloat16.
template <class Call>
void dispatch(DType dtype, const Call& call) {
    if (dtype == DType::bf16) {
        call(bfloat16{});
    } else {
        call(float{});
    }
}

// call(T{}, width): width::value is PACK<T> when packs is set, else 1.
template <class Call>
void dispatch(DType dtype, bool packs, const Call& call) {
    dispatch(dtype, [&](auto element) {
        using T = decltype(element);
        if (packs) {
            call(element, std::integral_constant<int, PACK<T>>{});
        } else {
            call(element, std::integral_constant<int, 1>{});
        }
    });
}

// Blocks for this many units of work, as a launch takes them. A kernel that needs more strides over the rest.
inline unsigned blocks_for(int64_t units, int64_t per_block) {
    const int64_t blocks = (units + per_block - 1) / per_block;
    return unsigned(blocks < std::numeric_limits<int32_t>::max() ? blocks : std::numeric_limits<int32_t>::max());
}

}  // namespace dllm::cuda
