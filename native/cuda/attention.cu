// Attention: checks, and the choice of a kernel by element type, head width and number of queries.
#include "../attention_check.h"
#include "attention_backward_keys.h"
#include "attention_backward_queries.h"
#include "attention_f32_backward.h"
#include "attention_f32_forward.h"
#include "attention_forward.h"
#include "attention_launch.h"
#include "attention_statistics.h"
#include "backend.h"
#include "sm90a/attention.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>
#include <type_traits>

namespace dllm::cuda {
namespace {

constexpr int64_t MAX_STRIDE = std::numeric_limits<int32_t>::max() / MAP_TILE;  // offsets in a tile are 32-bit
// Up to this width the registers have room for 32 queries in a warp.
constexpr int MAX_WIDTH_OF_TWO_ROW_TILES = 64;

void check_shape(const OpCheck& op, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_sum_exp,
                 const AttentionShape& shape, DType compute) {
    check_attention(op, q, k, v, log_sum_exp, shape, compute);
    const int64_t B = shape.batch, H = shape.heads, D = shape.head_width;
    // Grids are lines of blocks, and positions within a sequence are 32-bit in the kernels.
    constexpr int64_t MOST = std::numeric_limits<int32_t>::max();
    op.that(B * H <= MOST / 16 / std::max<int64_t>(shape.key_tiles(), 1) && H * D <= MOST &&
                shape.key_length <= MOST / 2 && shape.tiles.count() <= MOST,
            "too many sequences, heads and tiles for one launch");
    op.that(std::max({q.stride, k.stride, v.stride}) <= MAX_STRIDE, "rows are too far apart");
}

// heads: the tensors whose rows are heads side by side
AttentionTask task_of(const AttentionShape& shape, std::initializer_list<Tensor> heads) {
    const bool shared_map = shape.masks == 1;
    const bool packs = in_packs(heads) && shape.head_width % (16 / dtype_bytes(heads.begin()->dtype)) == 0;
    return {int(shape.query_length),
            int(shape.key_length),
            int(shape.query_offset),
            int(shape.query_tiles()),
            int(shape.key_tiles()),
            int(shape.heads),
            int(shape.heads / shape.kv_heads),
            int(shape.head_width),
            packs,
            float(1.0 / std::sqrt(double(shape.head_width))),
            shape.tiles.i32(),
            shared_map ? 0 : int(shape.query_tiles() * shape.key_tiles()),
            shape.bits.i32(),
            shape.lengths.i32()};
}

template <int WIDTH>
using Width = std::integral_constant<int, WIDTH>;

// call(width): the width that a head is padded to inside the kernels.
template <class Call>
void dispatch_width(int64_t width, const Call& call) {
    if (width <= 32) {
        call(Width<32>{});
    } else if (width <= 64) {
        call(Width<64>{});
    } else if (width <= 96) {
        call(Width<96>{});
    } else {
        call(Width<128>{});
    }
}

// call(row_tiles): how many times 16 queries a warp takes.
template <int WIDTH, class Call>
void dispatch_row_tiles(const AttentionTask& task, int64_t heads, int multiprocessors, const Call& call) {
    if constexpr (WIDTH <= MAX_WIDTH_OF_TWO_ROW_TILES) {
        dispatch_query_tiles(task, heads, int64_t(multiprocessors) * RESIDENT_BLOCKS<WIDTH, 2>, call);
    } else {
        call(std::integral_constant<int, 1>{});
    }
}

bool takes_warpgroups(AttentionKernels kernels, DType compute, const AttentionTask& task) {
    return kernels == AttentionKernels::wgmma && compute == DType::bf16 && task.packs;
}

sm90a::AttentionGrid grid_of(const AttentionShape& shape, const Context& context) {
    return {shape.batch * shape.heads, shape.batch * shape.kv_heads, context.multiprocessors(), context.stream()};
}

void compute_statistics(float2* statistics, Tensor dout, Tensor out, Tensor log_sum_exp, const AttentionTask& task,
                        int64_t sequences, cudaStream_t stream) {
    const int64_t count = sequences * task.heads * task.query_tiles * MAP_TILE;
    if (count == 0) return;
    dispatch(dout.dtype, task.packs, [&](auto element, auto loaded) {
        using T = decltype(element);
        int lanes = 1;
        while (lanes * PACK<T> < task.width) lanes *= 2;
        static_assert(MAX_HEAD_WIDTH <= WARP_SIZE * PACK<T>);
        check(launch(attention_statistics_kernel<T, decltype(loaded)::value>,
                     dim3(blocks_for(count * lanes, STATISTICS_THREADS)), dim3(STATISTICS_THREADS), 0, stream,
                     statistics, rows_of<const T>(dout), rows_of<const T>(out), log_sum_exp.f32(), task, lanes, count),
              "attention_statistics");
    });
}

}  // namespace

void CudaBackend::attention_forward(Tensor out, Tensor log_sum_exp, Tensor q, Tensor k, Tensor v,
                                    const AttentionShape& shape) {
    const OpCheck op("attention_forward");
    check_shape(op, q, k, v, log_sum_exp, shape, compute_);
    op.shape("out", out, q.rows, q.cols, compute_);
    const AttentionTask task = task_of(shape, {out, q, k, v});
    const int64_t heads = shape.batch * shape.heads;
    const cudaStream_t stream = context_.stream();
    if constexpr (sm90a::IS_BUILT) {
        if (takes_warpgroups(attention_kernels_, compute_, task)) {
            sm90a::attention_forward(grid_of(shape, context_), out, log_sum_exp, q, k, v, task);
            return;
        }
    }
    dispatch_width(shape.head_width, [&](auto width) {
        constexpr int WIDTH = decltype(width)::value;
        if (compute_ == DType::f32) {
            launch_blocks("attention_f32_forward", attention_f32_forward_kernel<WIDTH>, heads, task.query_length,
                          F32_ROWS, ATTENTION_THREADS, F32_FORWARD_BYTES<WIDTH>, stream, rows_of<float>(out),
                          log_sum_exp.f32(), rows_of<const float>(q), rows_of<const float>(k), rows_of<const float>(v),
                          task);
            return;
        }
        dispatch_row_tiles<WIDTH>(task, heads, context_.multiprocessors(), [&](auto row_tiles) {
            constexpr int ROW_TILES = decltype(row_tiles)::value;
            launch_blocks("attention_forward", attention_forward_kernel<WIDTH, ROW_TILES>, heads, task.query_length,
                          ROW_TILES * MAP_TILE, ATTENTION_THREADS, STAGES_BYTES<WIDTH>, stream, rows_of<bfloat16>(out),
                          log_sum_exp.f32(), rows_of<const bfloat16>(q), rows_of<const bfloat16>(k),
                          rows_of<const bfloat16>(v), task);
        });
    });
}

void CudaBackend::attention_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor q, Tensor k, Tensor v,
                                     Tensor out, Tensor log_sum_exp, const AttentionShape& shape) {
    const OpCheck op("attention_backward");
    check_shape(op, q, k, v, log_sum_exp, shape, compute_);
    op.shape("dq", dq, q.rows, q.cols, compute_);
    op.shape("dk", dk, k.rows, k.cols, compute_);
    op.shape("dv", dv, v.rows, v.cols, compute_);
    op.shape("dout", dout, q.rows, q.cols, compute_);
    op.that(dout.stride <= MAX_STRIDE, "rows are too far apart");
    op.shape("out", out, q.rows, q.cols, compute_);
    const AttentionTask task = task_of(shape, {dq, dk, dv, dout, q, k, v, out});
    const int64_t heads = shape.batch * shape.heads, key_heads = shape.batch * shape.kv_heads;
    const cudaStream_t stream = context_.stream();
    auto* statistics =
        static_cast<float2*>(scratch_.get(size_t(statistics_row(task, shape.batch, 0)) * sizeof(float2)));
    compute_statistics(statistics, dout, out, log_sum_exp, task, shape.batch, stream);
    if constexpr (sm90a::IS_BUILT) {
        if (takes_warpgroups(attention_kernels_, compute_, task)) {
            sm90a::attention_backward(grid_of(shape, context_), dq, dk, dv, dout, q, k, v, statistics, task);
            return;
        }
    }
    dispatch(compute_, [&](auto element) {
        using T = decltype(element);
        const auto rows_dq = rows_of<T>(dq), rows_dk = rows_of<T>(dk), rows_dv = rows_of<T>(dv);
        const auto rows_dout = rows_of<const T>(dout), rows_q = rows_of<const T>(q), rows_k = rows_of<const T>(k);
        const auto rows_v = rows_of<const T>(v);
        dispatch_width(shape.head_width, [&](auto width) {
            constexpr int WIDTH = decltype(width)::value;
            if constexpr (std::is_same_v<T, float>) {
                launch_blocks("attention_f32_backward_keys", attention_f32_backward_keys_kernel<WIDTH>, key_heads,
                              task.key_length, F32_ROWS, ATTENTION_THREADS, F32_BACKWARD_BYTES<WIDTH>, stream, rows_dk,
                              rows_dv, rows_dout, rows_q, rows_k, rows_v, statistics, task);
                launch_blocks("attention_f32_backward_queries", attention_f32_backward_queries_kernel<WIDTH>, heads,
                              task.query_length, F32_ROWS, ATTENTION_THREADS, F32_BACKWARD_BYTES<WIDTH>, stream,
                              rows_dq, rows_dout, rows_q, rows_k, rows_v, statistics, task);
            } else {
                launch_blocks("attention_backward_keys", attention_backward_keys_kernel<WIDTH>, key_heads,
                              task.key_length, MAP_TILE, ATTENTION_THREADS, BACKWARD_KEYS_BYTES<WIDTH>, stream, rows_dk,
                              rows_dv, rows_dout, rows_q, rows_k, rows_v, statistics, task);
                dispatch_row_tiles<WIDTH>(task, heads, context_.multiprocessors(), [&](auto row_tiles) {
                    constexpr int ROW_TILES = decltype(row_tiles)::value;
                    launch_blocks("attention_backward_queries", attention_backward_queries_kernel<WIDTH, ROW_TILES>,
                                  heads, task.query_length, ROW_TILES * MAP_TILE, ATTENTION_THREADS,
                                  STAGES_BYTES<WIDTH>, stream, rows_dq, rows_dout, rows_q, rows_k, rows_v, statistics,
                                  task);
                });
            }
        });
    });
}

}  // namespace dllm::cuda
