// Attention in bfloat16 with the matrix products of warpgroups, for rows of heads that are whole 16-byte groups.
#pragma once

#include "../../tensor.h"
#include "../attention_task.h"

namespace dllm::cuda::sm90a {

// Whether this module has the code for sm_90a; CMake says so.
constexpr bool IS_BUILT = DLLM_SM90A == 1;

// What launches depend on beside the task: heads of the whole batch, multiprocessors of the device.
struct AttentionGrid {
    int64_t heads, key_heads;
    int multiprocessors;
    cudaStream_t stream;
};

void attention_forward(const AttentionGrid& grid, Tensor out, Tensor log_sum_exp, Tensor q, Tensor k, Tensor v,
                       const AttentionTask& task);

// statistics: those of attention_statistics.h
void attention_backward(const AttentionGrid& grid, Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor q, Tensor k,
                        Tensor v, const float2* statistics, const AttentionTask& task);

}  // namespace dllm::cuda::sm90a
