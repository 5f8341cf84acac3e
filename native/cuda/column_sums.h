// Sums of the columns of a matrix, each in one fixed order.
#pragma once

#include "../tensor.h"
#include "context.h"

#include <cstdint>

namespace dllm::cuda {

// out (1, columns) += the column sums of x (rows, columns).
void add_column_sums(Tensor out, Tensor x, Scratch& scratch, cudaStream_t stream);

// The last step of a sum over many rows, of which a kernel's blocks have summed a part each: out (columns) += the sum
// of `parts` rows of `columns`, stride apart. Two sums at once: `second` may be null, and its parts lie `columns`
// behind those of the first.
void add_partial_sums(float* first, float* second, const float* partial, int64_t parts, int64_t stride, int64_t columns,
                      cudaStream_t stream);

}  // namespace dllm::cuda
