// The softmax of rows of logits in one read: who reads what, and the running sum of the exponentials.
#pragma once

#include "dispatch.h"
#include "exponential.h"
#include "reduce.h"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace dllm::cuda {

// ---- a row's threads: those along x. Where one warp is enough, a block has several rows, along y.

constexpr int MOST_ROW_THREADS = 512;

inline int64_t packs_of(const Tensor& x) { return ceil_div(x.cols * dtype_bytes(x.dtype), 16); }

// By the row's width alone, so that its sums do not depend on the number of rows.
inline dim3 row_block(const Tensor& x) {
    constexpr int64_t PACKS_PER_THREAD = 4, ROWS_OF_A_WARP = 8;
    const int64_t warps = ceil_div(packs_of(x), PACKS_PER_THREAD * WARP_SIZE);
    if (warps <= 1) return dim3(WARP_SIZE, ROWS_OF_A_WARP);
    return dim3(unsigned(std::min<int64_t>(warps * WARP_SIZE, MOST_ROW_THREADS)));
}

inline dim3 row_grid(const Tensor& x, dim3 block) { return dim3(blocks_for(x.rows, block.y)); }

// State has a default that changes nothing, merge(other), and exchange(lanes): the state of lane `lane_id() ^ lanes`.
template <class State>
__device__ inline State merge_warp(State state) {
    for (int lanes = WARP_SIZE / 2; lanes > 0; lanes /= 2) state.merge(state.exchange(lanes));
    return state;
}

// Every thread of the row gets the merged states of all, and goes on when all have come: what a row's threads read
// before this, they may overwrite after it. `partial` is shared memory of a state per warp, used once.
template <class State>
__device__ inline State merge_row(State state, State* partial) {
    state = merge_warp(state);
    if (blockDim.x == WARP_SIZE) {
        sync_warp();
        return state;
    }
    const int lane = int(threadIdx.x) % WARP_SIZE, warp = int(threadIdx.x) / WARP_SIZE,
              warps = int(blockDim.x) / WARP_SIZE;
    if (lane == 0) partial[warp] = state;
    sync_threads();
    return merge_warp(lane < warps ? partial[lane] : State());
}

// ---- a row as packs of 16 bytes, the last one of what is left. Rows at other addresses are read by the element.

template <class T>
struct PackedRow {
    T* data;
    int64_t columns;
    bool aligned;

    __device__ PackedRow(T* row, int64_t width)
        : data(row), columns(width), aligned(reinterpret_cast<uintptr_t>(row) % 16 == 0) {}

    __device__ int64_t packs() const { return (columns + WIDTH - 1) / WIDTH; }

    // Minus infinity where the row has no elements.
    __device__ uint4 load(int64_t pack) const {
        const int64_t first = pack * WIDTH;
        if (is_whole(first)) return *reinterpret_cast<const uint4*>(data + first);
        union {
            uint4 bits;
            Element elements[WIDTH];
        } edge{};
        for (int i = 0; i < WIDTH; i++)
            edge.elements[i] = first + i < columns ? data[first + i] : from_float<Element>(-INFINITY);
        return edge.bits;
    }

    __device__ void store(int64_t pack, const float (&values)[PACK<std::remove_const_t<T>>]) const {
        const int64_t first = pack * WIDTH;
        if (is_whole(first)) {
            cuda::store(data + first, values);
        } else {
            for (int i = 0; i < WIDTH; i++)
                if (first + i < columns) data[first + i] = from_float<Element>(values[i]);
        }
    }

private:
    using Element = std::remove_const_t<T>;
    static constexpr int WIDTH = PACK<Element>;

    __device__ bool is_whole(int64_t first) const { return aligned && first + WIDTH <= columns; }
};

template <class T>
__device__ inline void unpack(float (&values)[PACK<T>], const uint4& pack) {
    load(values, reinterpret_cast<const T*>(&pack));
}

// ---- the sum

struct SoftmaxSum {
    float largest = -std::numeric_limits<float>::max();  // finite, so that minus infinities have e^-infinity, not NaN
    float sum = 0;

    // e^(x - largest); exactly 1 for the largest, so that a certain target has no loss
    __device__ float exponential(float x) const { return fast_exp2((x - largest) * LOG2_E); }

    // Far below the largest the approximate exponential would lose bits.
    __device__ float probability(float x) const { return expf(x - largest) / sum; }

    template <int N>
    __device__ void add(const float (&x)[N]) {
        float top = x[0];
        for (int i = 1; i < N; i++) top = fmaxf(top, x[i]);
        raise(top);
        float part = 0;
        for (int i = 0; i < N; i++) part += exponential(x[i]);
        sum += part;
    }

    __device__ void merge(const SoftmaxSum& other) {
        raise(other.largest);
        sum += other.sum * exponential(other.largest);
    }

    __device__ SoftmaxSum exchange(int lanes) const { return {shuffle_xor(largest, lanes), shuffle_xor(sum, lanes)}; }

private:
    __device__ void raise(float top) {
        if (!(top > largest)) return;
        const float old = largest;
        largest = top;
        sum *= exponential(old);
    }
};

}  // namespace dllm::cuda
