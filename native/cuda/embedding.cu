// Token and position embeddings.
#include "backend.h"
#include "dispatch.h"
#include "row_order.h"

#include <hardware.h>

#include <limits>

namespace dllm::cuda {
namespace {

// out (N, C) = token_table[tokens] + position_table[positions]; position_table may be null
template <class T, int WIDTH>
__global__ void embed(Rows<T> out, Rows<const T> token_table, Rows<const T> position_table, const int32_t* tokens,
                      const int32_t* positions, int64_t N, int64_t C) {
    for_each_group<WIDTH>(N, C, [&](int64_t n, int64_t c) {
        float values[WIDTH], added[WIDTH] = {};
        load(values, token_table.row(tokens[n]) + c);
        if (position_table.data != nullptr) load(added, position_table.row(positions[n]) + c);
        for (int i = 0; i < WIDTH; i++) values[i] += added[i];
        store(out.row(n) + c, values);
    });
}

// The backward pass sums runs of equal ids in the sorted order. The order is cut into pieces of equal length, so that
// an id which fills half of it (the mask token) costs no more than others: a run that lies in one piece is added to the
// table, one that crosses pieces leaves a sum in each, and these are added afterwards.
constexpr int64_t PIECE = 32;
constexpr int BATCH = 4;  // rows under way at once

// sums (pieces, 2, C) of the run that began before the piece, and of the one that goes on after it
__device__ inline int64_t begun_before(int64_t piece) { return 2 * piece; }
__device__ inline int64_t going_on(int64_t piece) { return 2 * piece + 1; }

// table[ids] += dout
template <class T, int WIDTH>
__global__ void sum_runs(Rows<float> table, float* sums, Rows<const T> dout, RowOrder order, int64_t N, int64_t pieces,
                         int64_t C) {
    for_each_group<WIDTH>(pieces, C, [&](int64_t piece, int64_t c) {
        const int64_t begin = piece * PIECE, end = begin + PIECE < N ? begin + PIECE : N;
        bool begun = begin > 0 && order.ids[begin - 1] == order.ids[begin];
        float sum[WIDTH] = {};
        for (int64_t batch = begin; batch < end; batch += BATCH) {
            float values[BATCH][WIDTH] = {};
#pragma unroll
            for (int b = 0; b < BATCH; b++)
                if (batch + b < end) load(values[b], dout.row(order.rows[batch + b]) + c);
#pragma unroll
            for (int b = 0; b < BATCH; b++) {
                const int64_t at = batch + b;
                if (at >= end) break;
                for (int i = 0; i < WIDTH; i++) sum[i] += values[b][i];
                const bool ends = at + 1 == N || order.ids[at + 1] != order.ids[at];
                if (!ends && at + 1 < end) continue;
                if (begun || !ends) {
                    store(sums + (begun ? begun_before(piece) : going_on(piece)) * C + c, sum);
                } else {
                    float* to = table.row(order.ids[at]) + c;
                    float total[WIDTH];
                    load(total, to);
                    for (int i = 0; i < WIDTH; i++) total[i] += sum[i];
                    store(to, total);
                }
                begun = false;
                for (int i = 0; i < WIDTH; i++) sum[i] = 0;
            }
        }
    });
}

constexpr int ADD_WARPS = 8;

// The runs that cross pieces. A block looks at the run that goes on after its piece, if it begins there.
template <int WIDTH>
__global__ void add_crossing_runs(Rows<float> table, const float* sums, const int32_t* ids, int64_t pieces, int64_t C) {
    float* warp_sums = shared_memory<float>();  // (ADD_WARPS, WARP_SIZE * WIDTH)
    const int lane = lane_id(), warp = warp_id();
    const int64_t c = (int64_t(blockIdx.x) * WARP_SIZE + lane) * WIDTH;
    for (int64_t piece = blockIdx.y; piece + 1 < pieces; piece += gridDim.y) {
        const int64_t begin = piece * PIECE, end = begin + PIECE;
        const int32_t id = ids[end - 1];
        if (ids[end] != id || (begin > 0 && ids[begin - 1] == id)) continue;
        float sum[WIDTH] = {};
        bool more = true;
        for (int64_t first = piece + warp; more; first += BATCH * ADD_WARPS) {
#pragma unroll
            for (int b = 0; b < BATCH; b++) {
                const int64_t next = first + b * ADD_WARPS;
                more = next == piece || (next < pieces && ids[next * PIECE] == id);
                if (!more || c >= C) continue;
                float values[WIDTH];
                load(values, sums + (next == piece ? going_on(next) : begun_before(next)) * C + c);
                for (int i = 0; i < WIDTH; i++) sum[i] += values[i];
            }
        }
        sync_threads();  // the sums of the run before have been read
        store(warp_sums + (warp * WARP_SIZE + lane) * WIDTH, sum);
        sync_threads();
        if (warp != 0 || c >= C) continue;
        float total[WIDTH];
        load(total, table.row(id) + c);
        for (int w = 0; w < ADD_WARPS; w++) {
            load(sum, warp_sums + (w * WARP_SIZE + lane) * WIDTH);
            for (int i = 0; i < WIDTH; i++) total[i] += sum[i];
        }
        store(table.row(id) + c, total);
    }
}

// table[ids] += dout
void add_rows_by_id(Tensor table, Tensor ids, Tensor dout, Scratch& scratch, cudaStream_t stream) {
    const int64_t N = dout.rows, C = dout.cols, pieces = ceil_div(N, PIECE);
    const size_t sum_bytes = size_t(2 * pieces * C) * sizeof(float);
    auto* sums = static_cast<float*>(scratch.get(sum_bytes + row_order_bytes(N)));
    const RowOrder order = order_rows(ids.i32(), N, table.rows, sums + 2 * pieces * C, stream);
    dispatch(dout.dtype, in_packs({dout, table}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        launch_over("sum_runs", sum_runs<T, WIDTH>, pieces, C, WIDTH, stream, rows_of<float>(table), sums,
                    rows_of<const T>(dout), order, N);
    });
    if (pieces == 1) return;
    const auto add_crossing = [&](auto width) {
        constexpr int WIDTH = decltype(width)::value, COLUMNS = WARP_SIZE * WIDTH;
        const dim3 grid(blocks_for(C, COLUMNS), strided_blocks_for(pieces, 1));
        check(launch(add_crossing_runs<WIDTH>, grid, dim3(ADD_WARPS * WARP_SIZE), ADD_WARPS * COLUMNS * sizeof(float),
                     stream, rows_of<float>(table), sums, order.ids, pieces, C),
              "add_crossing_runs");
    };
    if (in_packs({table})) {
        add_crossing(std::integral_constant<int, PACK<float>>{});
    } else {
        add_crossing(std::integral_constant<int, 1>{});
    }
}

}  // namespace

void CudaBackend::embedding_forward(Tensor out, Tensor tokens, Tensor positions, Tensor token_table,
                                    Tensor position_table) {
    const OpCheck op("embedding_forward");
    const int64_t N = out.rows, C = out.cols;
    op.shape("out", out, N, C, compute_);
    op.shape("tokens", tokens, 1, N, DType::i32);
    op.shape("token_table", token_table, token_table.rows, C, compute_);
    if (position_table) {
        op.shape("position_table", position_table, position_table.rows, C, compute_);
        op.shape("positions", positions, 1, N, DType::i32);
    }
    if (out.count() == 0) return;
    dispatch(compute_, in_packs({out, token_table, position_table}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        launch_over("embedding_forward", embed<T, WIDTH>, N, C, WIDTH, context_.stream(), rows_of<T>(out),
                    rows_of<const T>(token_table), rows_of<const T>(position_table), tokens.i32(), positions.i32());
    });
}

void CudaBackend::embedding_backward(Tensor dtoken_table, Tensor dposition_table, Tensor dout, Tensor tokens,
                                     Tensor positions) {
    const OpCheck op("embedding_backward");
    const int64_t N = dout.rows, C = dout.cols;
    op.shape("dout", dout, N, C, compute_);
    op.shape("dtoken_table", dtoken_table, dtoken_table.rows, C);
    op.shape("tokens", tokens, 1, N, DType::i32);
    if (dposition_table) {
        op.shape("dposition_table", dposition_table, dposition_table.rows, C);
        op.shape("positions", positions, 1, N, DType::i32);
    }
    op.that(N <= std::numeric_limits<int32_t>::max(), "at most 2^31 - 1 rows");
    if (dout.count() == 0) return;
    add_rows_by_id(dtoken_table, tokens, dout, scratch_, context_.stream());
    if (dposition_table) add_rows_by_id(dposition_table, positions, dout, scratch_, context_.stream());
}

}  // namespace dllm::cuda
