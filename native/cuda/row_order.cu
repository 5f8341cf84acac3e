// RowOrder: see row_order.h. Each pass sorts by one digit of the ids, a chunk to a block: the chunks' digits are
// counted, and every chunk finds from the counts where its share of each digit goes.
#include "row_order.h"

#include "context.h"
#include "dispatch.h"

#include <hardware.h>

#include <utility>

namespace dllm::cuda {
namespace {

constexpr int DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS;
constexpr int THREADS = DIGITS;  // a thread to a digit where digits are counted
constexpr int WARPS = THREADS / WARP_SIZE;
constexpr int ROUNDS = 8;  // ids of one thread
constexpr int64_t CHUNK = THREADS * ROUNDS;
constexpr size_t SORT_SHARED_BYTES = (WARPS + 1) * DIGITS * sizeof(int32_t);

__device__ inline int digit_of(int32_t id, int shift) { return id >> shift & (DIGITS - 1); }

// counts (chunks, DIGITS)
__global__ void count_digits(int32_t* counts, const int32_t* ids, int64_t count, int shift) {
    int32_t* chunk_counts = shared_memory<int32_t>();  // (DIGITS)
    chunk_counts[threadIdx.x] = 0;
    sync_threads();
    const int64_t first = int64_t(blockIdx.x) * CHUNK + threadIdx.x;
    for (int round = 0; round < ROUNDS; round++) {
        const int64_t i = first + round * THREADS;
        if (i < count) atomic_add(&chunk_counts[digit_of(ids[i], shift)], 1);
    }
    sync_threads();
    counts[int64_t(blockIdx.x) * DIGITS + threadIdx.x] = chunk_counts[threadIdx.x];
}

// The lanes whose digit is this lane's; 0 where `present` is false.
__device__ inline unsigned lanes_of_digit(int digit, bool present) {
    unsigned lanes = ballot(present);
    for (int bit = 0; bit < DIGIT_BITS; bit++) {
        const bool is_set = (digit >> bit & 1) != 0;
        const unsigned set = ballot(is_set);
        lanes &= is_set ? set : ~set;
    }
    return present ? lanes : 0;
}

// Where this chunk's share of the thread's digit begins among all; totals is shared memory (DIGITS).
__device__ inline int32_t digit_start(int32_t* totals, const int32_t* counts) {
    const int digit = int(threadIdx.x);
    int32_t total = 0, before = 0;
    for (int64_t chunk = 0; chunk < gridDim.x; chunk++) {
        if (chunk == blockIdx.x) before = total;
        total += counts[chunk * DIGITS + digit];
    }
    totals[digit] = total;
    sync_threads();
    for (int distance = 1; distance < DIGITS; distance *= 2) {
        const int32_t added = digit >= distance ? totals[digit - distance] : 0;
        sync_threads();
        totals[digit] += added;
        sync_threads();
    }
    return totals[digit] - total + before;
}

// rows null: row i has id i of ids.
__global__ void sort_by_digit(int32_t* out_ids, int32_t* out_rows, const int32_t* ids, const int32_t* rows,
                              const int32_t* counts, int64_t count, int shift) {
    int32_t* places = shared_memory<int32_t>();  // (WARPS, DIGITS): first how many, then where the first one goes
    int32_t* totals = places + WARPS * DIGITS;   // (DIGITS)
    int32_t* own_places = places + warp_id() * DIGITS;
    for (int warp = 0; warp < WARPS; warp++) places[warp * DIGITS + threadIdx.x] = 0;
    sync_threads();
    const unsigned lanes_below = (1u << lane_id()) - 1;
    const int64_t first = int64_t(blockIdx.x) * CHUNK + int64_t(warp_id()) * (ROUNDS * WARP_SIZE) + lane_id();
    int32_t own_ids[ROUNDS], ranks[ROUNDS];  // ranks among the warp's ids of the same digit
#pragma unroll
    for (int round = 0; round < ROUNDS; round++) {
        const int64_t i = first + round * WARP_SIZE;
        own_ids[round] = i < count ? ids[i] : 0;
    }
#pragma unroll
    for (int round = 0; round < ROUNDS; round++) {
        const bool present = first + round * WARP_SIZE < count;
        const int digit = digit_of(own_ids[round], shift);
        const unsigned lanes = lanes_of_digit(digit, present);
        ranks[round] = own_places[digit] + __popc(lanes & lanes_below);
        sync_warp();
        if (present && (lanes & lanes_below) == 0) own_places[digit] += __popc(lanes);
        sync_warp();
    }
    sync_threads();
    int32_t place = digit_start(totals, counts);
    for (int warp = 0; warp < WARPS; warp++) {
        const int32_t warp_count = places[warp * DIGITS + threadIdx.x];
        places[warp * DIGITS + threadIdx.x] = place;
        place += warp_count;
    }
    sync_threads();
#pragma unroll
    for (int round = 0; round < ROUNDS; round++) {
        const int64_t i = first + round * WARP_SIZE;
        if (i >= count) continue;
        const int64_t to = own_places[digit_of(own_ids[round], shift)] + ranks[round];
        out_ids[to] = own_ids[round];
        out_rows[to] = rows == nullptr ? int32_t(i) : rows[i];
    }
}

}  // namespace

size_t row_order_bytes(int64_t count) { return size_t(4 * count + ceil_div(count, CHUNK) * DIGITS) * sizeof(int32_t); }

RowOrder order_rows(const int32_t* ids, int64_t count, int64_t limit, void* memory, cudaStream_t stream) {
    int32_t* sorted = static_cast<int32_t*>(memory);  // ids and rows, and those of the pass before
    int32_t* last = sorted + 2 * count;
    int32_t* counts = last + 2 * count;
    const dim3 grid(unsigned(ceil_div(count, CHUNK)));
    const int32_t* rows = nullptr;
    int shift = 0;
    do {
        check(launch(count_digits, grid, dim3(THREADS), DIGITS * sizeof(int32_t), stream, counts, ids, count, shift),
              "count_digits");
        check(launch(sort_by_digit, grid, dim3(THREADS), SORT_SHARED_BYTES, stream, sorted, sorted + count, ids, rows,
                     counts, count, shift),
              "sort_by_digit");
        ids = sorted, rows = sorted + count;
        std::swap(sorted, last);
        shift += DIGIT_BITS;
    } while ((limit - 1) >> shift > 0);
    return {ids, rows};
}

}  // namespace dllm::cuda
