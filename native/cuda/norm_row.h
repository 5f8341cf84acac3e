// The threads of a row of a norm: a warp, or several where the row is wide. A thread keeps its columns of the row in
// registers, as far as they fit.
#pragma once

#include "element.h"
#include "reduce.h"

#include <hardware.h>

#include <algorithm>

namespace dllm::cuda {

constexpr unsigned MAX_NORM_ROW_THREADS = 256;

// Groups of WIDTH columns that a thread keeps of a row
constexpr int HELD = 4;

// A block of about so many threads: threadIdx.x numbers the threads of a row, threadIdx.y the block's rows.
inline dim3 norm_block(int64_t columns, int width, unsigned threads) {
    unsigned per_row = WARP_SIZE;
    while (per_row < MAX_NORM_ROW_THREADS && int64_t(per_row) * width * HELD < columns) per_row *= 2;
    return dim3(per_row, std::max(1u, threads / per_row));
}

// A float for each warp
inline size_t norm_shared_bytes(dim3 block) { return block.x * block.y / WARP_SIZE * sizeof(float); }

// Every thread of the row gets the sum. All threads of the block make the call.
__device__ inline float row_sum(float x) {
    if (blockDim.x == WARP_SIZE) return warp_sum(x);
    return block_sum(x, shared_memory<float>() + threadIdx.y * (blockDim.x / WARP_SIZE));
}

// body(group, column) for each of the thread's groups of columns; those from HELD on are not kept.
template <int WIDTH, class Body>
__device__ inline void for_own_columns(int columns, const Body& body) {
    const int step = int(blockDim.x) * WIDTH;
    int column = int(threadIdx.x) * WIDTH;
#pragma unroll
    for (int group = 0; group < HELD; group++, column += step)
        if (column < columns) body(group, column);
    for (; column < columns; column += step) body(HELD, column);
}

// The thread's part of a row of `columns`, read once if it fits into registers.
template <class T, int WIDTH>
class OwnColumns {
public:
    __device__ OwnColumns(const T* row, int columns) : row_(row) {
        int column = int(threadIdx.x) * WIDTH;
#pragma unroll
        for (int group = 0; group < HELD; group++, column += int(blockDim.x) * WIDTH)
            if (column < columns) held_[group] = load_raw<WIDTH>(row + column);
    }

    __device__ void get(float (&values)[WIDTH], int group, int column) const {
        widen(values, group < HELD ? held_[group] : load_raw<WIDTH>(row_ + column));
    }

private:
    const T* row_;
    Raw<T, WIDTH> held_[HELD]{};
};

}  // namespace dllm::cuda
