// Attention with the matrix products of warpgroups: launches by head width and number of queries.
#include "attention.h"

#include "../attention_launch.h"
#include "attention_backward_keys.h"
#include "attention_backward_queries.h"
#include "attention_forward.h"

namespace dllm::cuda::sm90a {
namespace {

// call(width): the width that a head is padded to inside the kernels.
template <class Call>
void dispatch_width(int width, const Call& call) {
    if (width <= 64) {
        call(std::integral_constant<int, 64>{});
    } else {
        call(std::integral_constant<int, 128>{});
    }
}

// call(groups): the warpgroups of a block.
template <int WIDTH, class Call>
void dispatch_groups(const AttentionGrid& grid, const AttentionTask& task, const Call& call) {
    const int64_t resident = int64_t(grid.multiprocessors) * RESIDENT_GROUPS_BLOCKS<WIDTH, 2>;
    dispatch_query_tiles(task, grid.heads, resident, call);
}

}  // namespace

void attention_forward(const AttentionGrid& grid, Tensor out, Tensor log_sum_exp, Tensor q, Tensor k, Tensor v,
                       const AttentionTask& task) {
    dispatch_width(task.width, [&](auto width) {
        constexpr int WIDTH = decltype(width)::value;
        dispatch_groups<WIDTH>(grid, task, [&](auto groups) {
            constexpr int GROUPS = decltype(groups)::value;
            launch_blocks("attention_forward of sm_90a", attention_forward_kernel<WIDTH, GROUPS>, grid.heads,
                          task.query_length, GROUPS * MAP_TILE, GROUPS * ATTENTION_THREADS,
                          SWIZZLED_STAGES_BYTES<WIDTH>, grid.stream, rows_of<bfloat16>(out), log_sum_exp.f32(),
                          rows_of<const bfloat16>(q), rows_of<const bfloat16>(k), rows_of<const bfloat16>(v), task);
        });
    });
}

void attention_backward(const AttentionGrid& grid, Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor q, Tensor k,
                        Tensor v, const float2* statistics, const AttentionTask& task) {
    const auto rows_dout = rows_of<const bfloat16>(dout), rows_q = rows_of<const bfloat16>(q);
    const auto rows_k = rows_of<const bfloat16>(k), rows_v = rows_of<const bfloat16>(v);
    dispatch_width(task.width, [&](auto width) {
        constexpr int WIDTH = decltype(width)::value;
        launch_blocks("attention_backward_keys of sm_90a", attention_backward_keys_kernel<WIDTH>, grid.key_heads,
                      task.key_length, MAP_TILE, ATTENTION_THREADS, SWIZZLED_KEYS_BYTES<WIDTH>, grid.stream,
                      rows_of<bfloat16>(dk), rows_of<bfloat16>(dv), rows_dout, rows_q, rows_k, rows_v, statistics,
                      task);
        dispatch_groups<WIDTH>(grid, task, [&](auto groups) {
            constexpr int GROUPS = decltype(groups)::value;
            launch_blocks("attention_backward_queries of sm_90a", attention_backward_queries_kernel<WIDTH, GROUPS>,
                          grid.heads, task.query_length, GROUPS * MAP_TILE, GROUPS * ATTENTION_THREADS,
                          SWIZZLED_STAGES_BYTES<WIDTH>, grid.stream, rows_of<bfloat16>(dq), rows_dout, rows_q, rows_k,
                          rows_v, statistics, task);
        });
    });
}

}  // namespace dllm::cuda::sm90a
