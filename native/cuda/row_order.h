// Row numbers sorted by an id: a stable radix sort, so that there is one result.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace dllm::cuda {

// ids in ascending order, and the row of each; rows of one id in ascending order.
struct RowOrder {
    const int32_t* ids;
    const int32_t* rows;
};

// Device memory that order_rows works in and keeps its result in.
size_t row_order_bytes(int64_t count);

// ids (count), each from 0 to limit - 1. Enqueues the sort; count is from 1 to 2^31 - 1.
RowOrder order_rows(const int32_t* ids, int64_t count, int64_t limit, void* memory, cudaStream_t stream);

}  // namespace dllm::cuda
