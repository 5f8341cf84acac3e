// The last step of a sum over many rows: blocks of a kernel have summed a part of the rows each.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace dllm::cuda {

// out (columns) += the sum of `parts` rows of `columns`, stride apart, in one fixed order. Two sums at once: `second`
// may be null, and its parts lie `columns` behind those of the first.
void add_partial_sums(float* first, float* second, const float* partial, int64_t parts, int64_t stride, int64_t columns,
                      cudaStream_t stream);

}  // namespace dllm::cuda
