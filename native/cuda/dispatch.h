// From a tensor's run-time facts to a kernel's template arguments, and from a Tensor to what a kernel takes.
#pragma once

#include "../ceil_div.h"
#include "../op_check.h"
#include "../tensor.h"
#include "context.h"
#include "element.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
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

// In kernels of whole rows a column's number is an int, which saves registers.
inline void check_columns(const OpCheck& op, const Tensor& x) {
    op.that(x.cols <= int64_t(1) << 30, "rows have at most 2^30 columns");
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

// The blocks along x for this many units of work. Throws ERR_NATIVE where there are more than a launch takes.
inline unsigned blocks_for(int64_t units, int64_t per_block) {
    constexpr int64_t MOST = std::numeric_limits<int32_t>::max();
    const int64_t blocks = ceil_div(units, per_block);
    if (blocks > MOST) {
        fail(ErrorCode::native, "a kernel has at most " + std::to_string(MOST) + " blocks, got " +
                                    std::to_string(blocks) + " for " + std::to_string(units) + " units of work");
    }
    return unsigned(blocks);
}

// The blocks along y, for a kernel that strides over what is beyond them: a launch takes few.
inline unsigned strided_blocks_for(int64_t units, int64_t per_block) {
    constexpr int64_t MOST = 65535;
    return unsigned(std::min(ceil_div(units, per_block), MOST));
}

// How the threads of a kernel lie over rows of columns, `width` columns to a thread: the lanes of a warp along a row,
// narrow rows side by side in one warp.
struct Cover {
    dim3 grid, block;
};

inline Cover cover(int64_t rows, int64_t columns, int width) {
    constexpr int64_t THREADS = 256, LANES = 32;
    const int64_t groups = ceil_div(columns, width);
    int64_t lanes = 1;
    while (lanes < LANES && lanes < groups) lanes *= 2;
    const int64_t rows_per_block = THREADS / lanes;
    return {dim3(blocks_for(groups, lanes), strided_blocks_for(rows, rows_per_block)),
            dim3(unsigned(lanes), unsigned(rows_per_block))};
}

// Launches a kernel over rows of columns, which are its last parameters.
template <class... Parameters, class... Arguments>
void launch_over(const char* op, void (*kernel)(Parameters...), int64_t rows, int64_t columns, int width,
                 cudaStream_t stream, const Arguments&... arguments) {
    const Cover threads = cover(rows, columns, width);
    check(launch(kernel, threads.grid, threads.block, 0, stream, arguments..., rows, columns), op);
}

// body(row, column) for each group of WIDTH columns of every row, in a kernel launched over its cover.
template <int WIDTH, class Body>
__device__ inline void for_each_group(int64_t rows, int64_t columns, const Body& body) {
    const int64_t column = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * WIDTH;
    if (column >= columns) return;
    const int64_t step = int64_t(gridDim.y) * blockDim.y;
    for (int64_t row = int64_t(blockIdx.y) * blockDim.y + threadIdx.y; row < rows; row += step) body(row, column);
}

}  // namespace dllm::cuda
