// What the backward pass needs to know of every query: a kernel that reads out and its gradient once.
#pragma once

#include "attention_task.h"

#include <type_traits>

namespace dllm::cuda {

constexpr int STATISTICS_THREADS = 256;

// statistics (B H, whole tiles of Tq) = log_sum_exp in the unit of the kernels' exponents, and rowsum(dout out). Rows
// that the sequence lacks get infinity and 0, so that their probabilities and gradients are zero. `lanes` threads share
// a row of a head and add in one order, whether LOADED elements are read at once or one.
template <class T, int LOADED>
__global__ void attention_statistics_kernel(float2* statistics, Rows<const T> dout, Rows<const T> out,
                                            const float* log_sum_exp, AttentionTask task, int lanes, int64_t count) {
    constexpr float UNIT = std::is_same_v<T, float> ? 1.0f : LOG2_E;
    const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    const int64_t index = thread / lanes;  // of (b, query, head), heads next to each other as in memory
    const int padded = task.query_tiles * MAP_TILE, head = int(index % task.heads);
    const int b = int(index / task.heads / padded);
    const int query = int(index / task.heads % padded);
    const bool inside = index < count && query < sequence_of(task, b).queries;
    float sum = 0;
    if (inside) {
        const int64_t row = int64_t(b) * task.query_length + query, column = int64_t(head) * task.width;
        const int first = int(thread % lanes) * PACK<T>;
#pragma unroll
        for (int c = first; c < first + PACK<T>; c += LOADED) {
            if (c >= task.width) break;
            float of_dout[LOADED], of_out[LOADED];
            load(of_dout, dout.row(row) + column + c);
            load(of_out, out.row(row) + column + c);
            for (int i = 0; i < LOADED; i++) sum = fmaf(of_dout[i], of_out[i], sum);
        }
    }
    for (int lane = lanes / 2; lane > 0; lane /= 2) sum += shuffle_xor(sum, lane);
    if (thread % lanes != 0 || index >= count) return;
    const float own = inside ? log_sum_exp[(int64_t(b) * task.heads + head) * task.query_length + query] : INFINITY;
    statistics[statistics_row(task, b, head) + query] = make_float2(own * UNIT, sum);
}

}  // namespace dllm::cuda
