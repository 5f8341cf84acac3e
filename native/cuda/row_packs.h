// Rows that are read in packs of 16 bytes by threads of their own: who reads what, and how the threads' results meet.
#pragma once

#include "dispatch.h"
#include "reduce.h"

#include <type_traits>

namespace dllm::cuda {

// ---- a row's threads: those along x. Where one warp is enough, a block has several rows, along y.

inline int64_t packs_of(const Tensor& x) { return ceil_div(x.cols * dtype_bytes(x.dtype), 16); }

// At most MOST_WARPS warps. By the row's width alone, so that its sums do not depend on the number of rows.
template <int MOST_WARPS>
dim3 row_threads(const Tensor& x) {
    constexpr int ROWS_OF_ONE_WARP = 8;
    static_assert(ROWS_OF_ONE_WARP <= MOST_WARPS);
    constexpr int64_t PACKS_PER_THREAD = 4;
    const int64_t warps = ceil_div(packs_of(x), PACKS_PER_THREAD * WARP_SIZE);
    if (warps <= 1) return dim3(WARP_SIZE, ROWS_OF_ONE_WARP);
    const int64_t rounds = ceil_div(warps, MOST_WARPS);  // over the row: fewer warps, so that the last one is full
    return dim3(unsigned(ceil_div(warps, rounds)) * WARP_SIZE);
}

inline dim3 row_grid(const Tensor& x, dim3 block) { return dim3(blocks_for(x.rows, block.y)); }

// State has a default that changes nothing, merge(other), and exchange(lanes): the state of lane `lane_id() ^ lanes`.
template <class State>
__device__ inline State merge_warp(State state) {
    for (int lanes = WARP_SIZE / 2; lanes > 0; lanes /= 2) state.merge(state.exchange(lanes));
    return state;
}

// Every thread of the row gets the merged states of all, and goes on when all have come: what a row's threads read
// before this, they may overwrite after it. `partial` is shared memory of a state per warp. A warp may go on to write
// its next state while others still read the last ones: calls in succession alternate between two of these.
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
    int columns;
    bool aligned;

    __device__ PackedRow(T* row, int width)
        : data(row), columns(width), aligned(reinterpret_cast<uintptr_t>(row) % 16 == 0) {}

    __device__ int packs() const { return (columns + WIDTH - 1) / WIDTH; }

    // Minus infinity where the row has no elements.
    __device__ uint4 load(int pack) const {
        const int first = pack * WIDTH;
        if (is_whole(first)) return *reinterpret_cast<const uint4*>(data + first);
        union {
            uint4 bits;
            Element elements[WIDTH];
        } edge{};
        for (int i = 0; i < WIDTH; i++)
            edge.elements[i] = first + i < columns ? data[first + i] : from_float<Element>(-INFINITY);
        return edge.bits;
    }

    __device__ void store(int pack, const float (&values)[PACK<std::remove_const_t<T>>]) const {
        const int first = pack * WIDTH;
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

    __device__ bool is_whole(int first) const { return aligned && first + WIDTH <= columns; }
};

template <class T>
__device__ inline void unpack(float (&values)[PACK<T>], const uint4& pack) {
    load(values, reinterpret_cast<const T*>(&pack));
}

// Calls visit(pack, bits) for the thread's packs of a row, several of them under way at once: visit may write what
// fetch(pack) has read, and the compiler moves no read across that. All threads of the row make the same number of
// calls, some of them past its end.
template <class Fetch, class Visit>
__device__ inline void sweep(int packs, const Fetch& fetch, const Visit& visit) {
    constexpr int BATCH = 4;
    const int threads = int(blockDim.x), own = int(threadIdx.x);
    for (int first = 0; first < packs; first += BATCH * threads) {
        uint4 batch[BATCH] = {};
#pragma unroll
        for (int i = 0; i < BATCH; i++)
            if (first + i * threads < packs) batch[i] = fetch(first + i * threads + own);
#pragma unroll
        for (int i = 0; i < BATCH; i++)
            if (first + i * threads < packs) visit(first + i * threads + own, batch[i]);
    }
}

}  // namespace dllm::cuda
