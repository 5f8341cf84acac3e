// Queries and keys: weightless RMS norm of each head, then the rotary embedding in half-split convention.
#include "backend.h"
#include "dispatch.h"
#include "reduce.h"

#include <hardware.h>

namespace dllm::cuda {
namespace {

// Every row's first heads, each to `lanes` neighbours of a warp, a power of two: 1 << lane_bits.
struct Heads {
    int64_t rows;
    int heads, width, lane_bits;
    bool normalize;
    float eps;

    __device__ int lanes() const { return 1 << lane_bits; }
    __device__ int lane() const { return int(threadIdx.x) & (lanes() - 1); }
};

// rotary_table.data is null where nothing is rotated
struct Angles {
    Rows<const float> rotary_table;
    const int32_t* positions;

    // Cosines, then sines; null where nothing is rotated.
    __device__ const float* of_row(int64_t row) const {
        return rotary_table.data == nullptr ? nullptr : rotary_table.row(positions[row]);
    }
};

// body(row, head, present) for each head. All lanes of a warp make the same number of calls, so that the body may
// exchange values between a head's lanes: some calls are for a head that is not there.
template <class Body>
__device__ inline void for_each_head(const Heads& heads, const Body& body) {
    const int head = int((blockIdx.x * blockDim.x + threadIdx.x) >> heads.lane_bits);
    const int64_t step = int64_t(gridDim.y) * blockDim.y;
    for (int64_t first = int64_t(blockIdx.y) * blockDim.y; first < heads.rows; first += step) {
        const int64_t row = first + threadIdx.y;
        body(row, head, row < heads.rows && head < heads.heads);
    }
}

// body(a, b, c) for each of the lane's pairs of groups of a head's columns: those from c on in its first half, and
// their partners in the second half. Without partners (odd width, column by column) b is null.
template <int WIDTH, class T, class Body>
__device__ inline void for_each_pair(T* start, const Heads& heads, const Body& body) {
    const int half = (heads.width + 1) / 2;
    for (int c = heads.lane() * WIDTH; c < half; c += heads.lanes() * WIDTH)
        body(start + c, half + c < heads.width ? start + half + c : nullptr, c);
}

template <int WIDTH, class T>
__device__ inline void load_pair(float (&a)[WIDTH], float (&b)[WIDTH], const T* from_a, const T* from_b) {
    load(a, from_a);
    for (int i = 0; i < WIDTH; i++) b[i] = 0;
    if (from_b != nullptr) load(b, from_b);
}

template <int WIDTH, class T>
__device__ inline void store_pair(T* to_a, T* to_b, const float (&a)[WIDTH], const float (&b)[WIDTH]) {
    store(to_a, a);
    if (to_b != nullptr) store(to_b, b);
}

// (a, b) -> (a cos - b sin, b cos + a sin); direction -1 rotates back.
template <int WIDTH>
__device__ inline void rotate(float (&a)[WIDTH], float (&b)[WIDTH], const float* cosines, int half, float direction) {
    float cosine[WIDTH], sine[WIDTH];
    load(cosine, cosines);
    load(sine, cosines + half);
    for (int i = 0; i < WIDTH; i++) {
        const float s = sine[i] * direction, x = a[i], y = b[i];
        a[i] = fmaf(x, cosine[i], -(y * s));
        b[i] = fmaf(x, s, y * cosine[i]);
    }
}

// qkv: rows of heads; rstd (rows, heads)
template <class T, int WIDTH>
__global__ void query_key_rows(Rows<T> qkv, Rows<float> rstd, Angles angles, Heads heads) {
    for_each_head(heads, [&](int64_t row, int head, bool present) {
        T* start = qkv.row(row) + head * heads.width;
        float scale = 1;
        if (heads.normalize) {
            float squares = 0;
            if (present) {
                for_each_pair<WIDTH>(start, heads, [&](T* at_a, T* at_b, int) {
                    float a[WIDTH], b[WIDTH];
                    load_pair(a, b, at_a, at_b);
                    for (int i = 0; i < WIDTH; i++) squares = fmaf(b[i], b[i], fmaf(a[i], a[i], squares));
                });
            }
            scale = 1.0f / sqrtf(warp_sum(squares, heads.lanes()) / float(heads.width) + heads.eps);
            if (present && heads.lane() == 0) rstd.row(row)[head] = scale;
        }
        if (!present) return;
        const float* cosines = angles.of_row(row);
        for_each_pair<WIDTH>(start, heads, [&](T* at_a, T* at_b, int c) {
            float a[WIDTH], b[WIDTH];
            load_pair(a, b, at_a, at_b);
            for (int i = 0; i < WIDTH; i++) a[i] *= scale, b[i] *= scale;
            if (cosines != nullptr) rotate(a, b, cosines + c, heads.width / 2, 1);
            store_pair(at_a, at_b, a, b);
        });
    });
}

// A rotation keeps dot products, so the norm's backward pass runs on the rotated values z that qkv holds:
//   dx = rotate back (rstd (dz - z mean(dz z)))
template <class T, int WIDTH>
__global__ void query_key_rows_backward(Rows<T> dqkv, Rows<const T> qkv, Rows<const float> rstd, Angles angles,
                                        Heads heads) {
    for_each_head(heads, [&](int64_t row, int head, bool present) {
        T* start = dqkv.row(row) + head * heads.width;
        const T* z = qkv.row(row) + head * heads.width;
        float scale = 1, mean = 0;
        if (heads.normalize) {
            float products = 0;
            if (present) {
                for_each_pair<WIDTH>(start, heads, [&](T* at_a, T* at_b, int c) {
                    float a[WIDTH], b[WIDTH], za[WIDTH], zb[WIDTH];
                    load_pair(a, b, at_a, at_b);
                    load_pair(za, zb, z + c, at_b == nullptr ? nullptr : z + (at_b - start));
                    for (int i = 0; i < WIDTH; i++) products = fmaf(b[i], zb[i], fmaf(a[i], za[i], products));
                });
                scale = rstd.row(row)[head];
            }
            mean = warp_sum(products, heads.lanes()) / float(heads.width);
        }
        if (!present) return;
        const float* cosines = angles.of_row(row);
        for_each_pair<WIDTH>(start, heads, [&](T* at_a, T* at_b, int c) {
            float a[WIDTH], b[WIDTH];
            load_pair(a, b, at_a, at_b);
            if (heads.normalize) {
                float za[WIDTH], zb[WIDTH];
                load_pair(za, zb, z + c, at_b == nullptr ? nullptr : z + (at_b - start));
                for (int i = 0; i < WIDTH; i++) {
                    a[i] = scale * fmaf(-za[i], mean, a[i]);
                    b[i] = scale * fmaf(-zb[i], mean, b[i]);
                }
            }
            if (cosines != nullptr) rotate(a, b, cosines + c, heads.width / 2, -1);
            store_pair(at_a, at_b, a, b);
        });
    });
}

void check_shapes(const OpCheck& op, const Tensor& qkv, const Tensor& rstd, const Tensor& positions,
                  const Tensor& rotary_table, const HeadShape& shape, DType compute) {
    const int64_t heads = shape.heads + shape.kv_heads, D = shape.head_width;
    op.shape("qkv", qkv, qkv.rows, (heads + shape.kv_heads) * D, compute);
    check_columns(op, qkv);
    if (shape.normalize) op.shape("rstd", rstd, qkv.rows, heads);
    if (shape.rotate) {
        op.that(D % 2 == 0, "head_width must be even to rotate");
        op.shape("rotary_table", rotary_table, rotary_table.rows, D);
        op.shape("positions", positions, 1, qkv.rows, DType::i32);
    }
}

Heads heads_of(const Tensor& qkv, const HeadShape& shape, int width) {
    const int64_t groups = ceil_div(ceil_div(shape.head_width, 2), width);
    int lane_bits = 0;
    while (1 << lane_bits < WARP_SIZE && 1 << lane_bits < groups) lane_bits++;
    return {qkv.rows, int(shape.heads + shape.kv_heads), int(shape.head_width), lane_bits, shape.normalize, shape.eps};
}

// call(T{}, width, cover of the heads, heads, angles) where there is anything to do; dqkv may be null.
template <class Call>
void dispatch_heads(const Tensor& qkv, const Tensor& dqkv, const Tensor& positions, Tensor rotary_table,
                    const HeadShape& shape, const Call& call) {
    if (qkv.count() == 0 || (!shape.normalize && !shape.rotate)) return;
    if (!shape.rotate) rotary_table = {};
    const Angles angles{rows_of<const float>(rotary_table), positions.i32()};
    const bool halves_in_packs = shape.head_width % (2 * (16 / dtype_bytes(qkv.dtype))) == 0;
    dispatch(qkv.dtype, halves_in_packs && in_packs({qkv, dqkv, rotary_table}), [&](auto element, auto width) {
        const Heads heads = heads_of(qkv, shape, decltype(width)::value);
        call(element, width, cover(heads.rows, int64_t(heads.heads) << heads.lane_bits, 1), heads, angles);
    });
}

}  // namespace

void CudaBackend::query_key_forward(Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                    const HeadShape& shape) {
    check_shapes(OpCheck("query_key_forward"), qkv, rstd, positions, rotary_table, shape, compute_);
    const auto run = [&](auto element, auto width, const Cover& threads, const Heads& heads, const Angles& angles) {
        using T = decltype(element);
        check(launch(query_key_rows<T, decltype(width)::value>, threads.grid, threads.block, 0, context_.stream(),
                     rows_of<T>(qkv), rows_of<float>(rstd), angles, heads),
              "query_key_forward");
    };
    dispatch_heads(qkv, {}, positions, rotary_table, shape, run);
}

void CudaBackend::query_key_backward(Tensor dqkv, Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                     const HeadShape& shape) {
    const OpCheck op("query_key_backward");
    check_shapes(op, qkv, rstd, positions, rotary_table, shape, compute_);
    op.shape("dqkv", dqkv, qkv.rows, qkv.cols, compute_);
    const auto run = [&](auto element, auto width, const Cover& threads, const Heads& heads, const Angles& angles) {
        using T = decltype(element);
        check(launch(query_key_rows_backward<T, decltype(width)::value>, threads.grid, threads.block, 0,
                     context_.stream(), rows_of<T>(dqkv), rows_of<const T>(qkv), rows_of<const float>(rstd), angles,
                     heads),
              "query_key_backward");
    };
    dispatch_heads(qkv, dqkv, positions, rotary_table, shape, run);
}

}  // namespace dllm::cuda
