// add_partial_sums: see partial_sums.h.
#include "partial_sums.h"

#include "context.h"
#include "dispatch.h"

#include <hardware.h>

namespace dllm::cuda {
namespace {

constexpr int WARPS = 32;  // each takes every 32nd part, so that many are under way

__global__ void __launch_bounds__(WARPS* WARP_SIZE)
    add_parts(float* first, float* second, const float* partial, int64_t parts, int64_t stride, int64_t columns) {
    float* sums = shared_memory<float>();  // (WARPS, WARP_SIZE)
    const int lane = lane_id(), warp = warp_id();
    const int64_t column = int64_t(blockIdx.x) * WARP_SIZE + lane;
    const float* from = partial + blockIdx.y * columns + column;
    float sum = 0;
    if (column < columns)
        for (int64_t part = warp; part < parts; part += WARPS) sum += from[part * stride];
    sums[warp * WARP_SIZE + lane] = sum;
    sync_threads();
    if (warp != 0 || column >= columns) return;
    float total = 0;
    for (int w = 0; w < WARPS; w++) total += sums[w * WARP_SIZE + lane];
    (blockIdx.y == 0 ? first : second)[column] += total;
}

}  // namespace

void add_partial_sums(float* first, float* second, const float* partial, int64_t parts, int64_t stride, int64_t columns,
                      cudaStream_t stream) {
    const dim3 grid(blocks_for(columns, WARP_SIZE), second == nullptr ? 1 : 2);
    check(launch(add_parts, grid, dim3(WARPS * WARP_SIZE), WARPS * WARP_SIZE * sizeof(float), stream, first, second,
                 partial, parts, stride, columns),
          "add_partial_sums");
}

}  // namespace dllm::cuda
