// Queries and keys: weightless RMS norm of each head, then the rotary embedding in half-split convention.
#include "backend.h"
#include "dispatch.h"

#include <hardware.h>

namespace dllm::cuda {
namespace {

// Every row's first heads, each to `lanes` neighbours of a warp, a power of two.
struct Heads {
    int64_t rows, heads, width;
    int lanes;
    bool normalize;
    float eps;
};

// rotary_table.data is null where nothing is rotated
struct Angles {
    Rows<const float> rotary_table;
    const int32_t* positions;
};

// body(row, head) for each head. All lanes of a warp make the same number of calls, so that the body may exchange
// values between a head's lanes: some calls are for a head that is not there, with a row past the end.
template <class Body>
__device__ inline void for_each_head(const Heads& heads, const Body& body) {
    const int64_t head = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / heads.lanes;
    const int64_t step = int64_t(gridDim.y) * blockDim.y;
    for (int64_t first = int64_t(blockIdx.y) * blockDim.y; first < heads.rows; first += step)
        body(head < heads.heads ? first + threadIdx.y : heads.rows, head);
}

// body(a, b, c) for each of the lane's pairs of groups of a head's columns: those from c on in its first half, and
// their partners in the second half. Without partners (odd width, column by column) b is null.
template <int WIDTH, class T, class Body>
__device__ inline void for_each_pair(T* start, const Heads& heads, const Body& body) {
    const int64_t half = (heads.width + 1) / 2;
    for (int64_t c = int64_t(threadIdx.x) % heads.lanes * WIDTH; c < half; c += heads.lanes * WIDTH)
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
__device__ inline void rotate(float (&a)[WIDTH], float (&b)[WIDTH], const float* cosines, int64_t half,
                              float direction) {
    float cosine[WIDTH], sine[WIDTH];
    load(cosine, cosines);
    load(sine, cosines + half);
    for (int i = 0; i < WIDTH; i++) {
        const float s = sine[i] * direction, x = a[i], y = b[i];
        a[i] = fmaf(x, cosine[i], -(y * s));
        b[i] = fmaf(x, s, y * cosine[i]);
    }
}

// The sum over a head's lanes
__device__ inline float head_sum(float x, int lanes) {
    for (int mask = lanes / 2; mask > 0; mask /= 2) x += shuffle_xor(x, mask);
    return x;
}

// qkv: rows of heads; rstd (rows, heads)
template <class T, int WIDTH>
__global__ void query_key_rows(Rows<T> qkv, Rows<float> rstd, Angles angles, Heads heads) {
    for_each_head(heads, [&](int64_t row, int64_t head) {
        const bool present = row < heads.rows;
        T* start = qkv.row(row) + head * heads.width;
        float scale = 1;
        if (heads.normalize) {
            float squares = 0;
            if (present) {
                for_each_pair<WIDTH>(start, heads, [&](T* at_a, T* at_b, int64_t) {
                    float a[WIDTH], b[WIDTH];
                    load_pair(a, b, at_a, at_b);
                    for (int i = 0; i < WIDTH; i++) squares = fmaf(b[i], b[i], fmaf(a[i], a[i], squares));
                });
            }
            scale = 1.0f / sqrtf(head_sum(squares, heads.lanes) / float(heads.width) + heads.eps);
            if (present && threadIdx.x % heads.lanes == 0) rstd.row(row)[head] = scale;
        }
        if (!present) return;
        const float* cosines =
            angles.rotary_table.data == nullptr ? nullptr : angles.rotary_table.row(angles.positions[row]);
        for_each_pair<WIDTH>(start, heads, [&](T* at_a, T* at_b, int64_t c) {
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
    for_each_head(heads, [&](int64_t row, int64_t head) {
        const bool present = row < heads.rows;
        T* start = dqkv.row(row) + head * heads.width;
        const T* z = qkv.row(row) + head * heads.width;
        float scale = 1, mean = 0;
        if (heads.normalize) {
            float products = 0;
            if (present) {
                for_each_pair<WIDTH>(start, heads, [&](T* at_a, T* at_b, int64_t c) {
                    float a[WIDTH], b[WIDTH], za[WIDTH], zb[WIDTH];
                    load_pair(a, b, at_a, at_b);
                    load_pair(za, zb, z + c, at_b == nullptr ? nullptr : z + (at_b - start));
                    for (int i = 0; i < WIDTH; i++) products = fmaf(b[i], zb[i], fmaf(a[i], za[i], products));
                });
                scale = rstd.row(row)[head];
            }
            mean = head_sum(products, heads.lanes) / float(heads.width);
        }
        if (!present) return;
        const float* cosines =
            angles.rotary_table.data == nullptr ? nullptr : angles.rotary_table.row(angles.positions[row]);
        for_each_pair<WIDTH>(start, heads, [&](T* at_a, T* at_b, int64_t c) {
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
    if (shape.normalize) op.shape("rstd", rstd, qkv.rows, heads);
    if (shape.rotate) {
        op.that(D % 2 == 0, "head_width must be even to rotate");
        op.shape("rotary_table", rotary_table, rotary_table.rows, D);
        op.shape("positions", positions, 1, qkv.rows, DType::i32);
    }
}

// Whether both halves of every head are whole packs
bool halves_in_packs(const HeadShape& shape, DType compute) {
    return shape.head_width % (2 * (16 / dtype_bytes(compute))) == 0;
}

Heads heads_of(const Tensor& qkv, const HeadShape& shape, int width) {
    const int64_t groups = ceil_div(ceil_div(shape.head_width, 2), width);
    int lanes = 1;
    while (lanes < WARP_SIZE && lanes < groups) lanes *= 2;
    return {qkv.rows, shape.heads + shape.kv_heads, shape.head_width, lanes, shape.normalize, shape.eps};
}

Angles angles_of(const Tensor& positions, const Tensor& rotary_table, const HeadShape& shape) {
    if (!shape.rotate) return {{nullptr, 0}, nullptr};
    return {rows_of<const float>(rotary_table), positions.i32()};
}

}  // namespace

void CudaBackend::query_key_forward(Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                    const HeadShape& shape) {
    check_shapes(OpCheck("query_key_forward"), qkv, rstd, positions, rotary_table, shape, compute_);
    if (qkv.count() == 0 || (!shape.normalize && !shape.rotate)) return;
    if (!shape.rotate) rotary_table = {};
    const bool packs = halves_in_packs(shape, compute_) && in_packs({qkv, rotary_table});
    dispatch(compute_, packs, [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        const Heads heads = heads_of(qkv, shape, WIDTH);
        const Cover threads = cover(heads.rows, heads.heads * heads.lanes, 1);
        check(launch(query_key_rows<T, WIDTH>, threads.grid, threads.block, 0, context_.stream(), rows_of<T>(qkv),
                     rows_of<float>(rstd), angles_of(positions, rotary_table, shape), heads),
              "query_key_forward");
    });
}

void CudaBackend::query_key_backward(Tensor dqkv, Tensor qkv, Tensor rstd, Tensor positions, Tensor rotary_table,
                                     const HeadShape& shape) {
    const OpCheck op("query_key_backward");
    check_shapes(op, qkv, rstd, positions, rotary_table, shape, compute_);
    op.shape("dqkv", dqkv, qkv.rows, qkv.cols, compute_);
    if (qkv.count() == 0 || (!shape.normalize && !shape.rotate)) return;
    if (!shape.rotate) rotary_table = {};
    const bool packs = halves_in_packs(shape, compute_) && in_packs({dqkv, qkv, rotary_table});
    dispatch(compute_, packs, [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        const Heads heads = heads_of(qkv, shape, WIDTH);
        const Cover threads = cover(heads.rows, heads.heads * heads.lanes, 1);
        check(launch(query_key_rows_backward<T, WIDTH>, threads.grid, threads.block, 0, context_.stream(),
                     rows_of<T>(dqkv), rows_of<const T>(qkv), rows_of<const float>(rstd),
                     angles_of(positions, rotary_table, shape), heads),
              "query_key_backward");
    });
}

}  // namespace dllm::cuda
