// Layer norm and RMS norm. A row belongs to a warp, or to several where it is wide; a thread keeps its columns of the
// row in registers, as far as they fit.
#include "backend.h"
#include "column_sums.h"
#include "dispatch.h"
#include "reduce.h"

#include <hardware.h>

#include <algorithm>

namespace dllm::cuda {
namespace {

constexpr unsigned MAX_ROW_THREADS = 256;
constexpr unsigned FORWARD_THREADS = 256;

// Threads in a block of the backward pass, and blocks that a multiprocessor holds at once, at up to 168 registers a
// thread: as many blocks are launched, and each goes through many rows.
constexpr unsigned BACKWARD_THREADS = 128, BACKWARD_BLOCKS = 3;
constexpr unsigned BACKWARD_RESIDENT_THREADS = BACKWARD_BLOCKS * BACKWARD_THREADS;

// Groups of WIDTH columns that a thread keeps of a row
constexpr int HELD = 4;

// threadIdx.x numbers the threads of a row, threadIdx.y the block's rows.
dim3 row_threads(int64_t columns, int width, unsigned threads) {
    unsigned per_row = WARP_SIZE;
    while (per_row < MAX_ROW_THREADS && int64_t(per_row) * width * HELD < columns) per_row *= 2;
    return dim3(per_row, std::max(1u, threads / per_row));
}

constexpr size_t SHARED_BYTES = FORWARD_THREADS / WARP_SIZE * sizeof(float);  // a float for each warp

// Every thread of the row gets the sum. All threads of the block make the call.
__device__ inline float row_sum(float x) {
    if (blockDim.x == WARP_SIZE) return warp_sum(x);
    return block_sum(x, shared_memory<float>() + threadIdx.y * (blockDim.x / WARP_SIZE));
}

// body(group, column) for each of the thread's groups of columns; those from HELD on are not kept.
template <int WIDTH, class Body>
__device__ inline void for_own_columns(int columns, const Body& body) {
    const int step = int(blockDim.x) * WIDTH;
    int column = int(threadIdx.x) * WIDTH;
#pragma unroll
    for (int group = 0; group < HELD; group++, column += step)
        if (column < columns) body(group, column);
    for (; column < columns; column += step) body(HELD, column);
}

// The thread's part of a row of `columns`, read once if it fits into registers.
template <class T, int WIDTH>
class OwnColumns {
public:
    __device__ OwnColumns(const T* row, int columns) : row_(row) {
        int column = int(threadIdx.x) * WIDTH;
#pragma unroll
        for (int group = 0; group < HELD; group++, column += int(blockDim.x) * WIDTH)
            if (column < columns) held_[group] = load_raw<WIDTH>(row + column);
    }

    __device__ void get(float (&values)[WIDTH], int group, int column) const {
        widen(values, group < HELD ? held_[group] : load_raw<WIDTH>(row_ + column));
    }

private:
    const T* row_;
    Raw<T, WIDTH> held_[HELD]{};
};

// Sums over rows, of each of the thread's columns: in registers as far as they fit, the rest in `sums`.
template <int WIDTH>
class OwnSums {
public:
    __device__ OwnSums(float* sums, int columns) : sums_(sums) {
        for_own_columns<WIDTH>(columns, [&](int group, int column) {
            if (group == HELD) store(sums_ + column, held_[0]);  // zeros
        });
    }

    __device__ void add(int group, int column, const float (&values)[WIDTH]) {
        if (group < HELD) {
            for (int i = 0; i < WIDTH; i++) held_[group][i] += values[i];
            return;
        }
        float sum[WIDTH];
        load(sum, sums_ + column);
        for (int i = 0; i < WIDTH; i++) sum[i] += values[i];
        store(sums_ + column, sum);
    }

    // Writes what is in registers to `sums`, or adds it.
    __device__ void flush(int columns, bool adding) const {
        for_own_columns<WIDTH>(columns, [&](int group, int column) {
            if (group == HELD) return;
            float sum[WIDTH] = {};
            if (adding) load(sum, sums_ + column);
            for (int i = 0; i < WIDTH; i++) sum[i] += held_[group][i];
            store(sums_ + column, sum);
        });
    }

private:
    float* sums_;
    float held_[HELD][WIDTH] = {};
};

// out, x (rows, columns)   rstd (rows)   mean (rows); null for the RMS norm   bias (columns) or null
template <class T, int WIDTH>
__global__ void __launch_bounds__(MAX_ROW_THREADS)
    norm_forward(Rows<T> out, float* mean, float* rstd, Rows<const T> x, const T* weight, const T* bias, float eps,
                 int64_t rows, int columns) {
    const int64_t step = int64_t(gridDim.x) * blockDim.y;
    for (int64_t first = int64_t(blockIdx.x) * blockDim.y; first < rows; first += step) {
        const int64_t row = first + threadIdx.y;
        const int own = row < rows ? columns : 0;  // past the end, threads only take part in the sums
        const OwnColumns<T, WIDTH> values(x.row(row), own);
        float m = 0;
        if (mean != nullptr) {
            float sum = 0;
            for_own_columns<WIDTH>(own, [&](int group, int column) {
                float part[WIDTH];
                values.get(part, group, column);
                for (int i = 0; i < WIDTH; i++) sum += part[i];
            });
            m = row_sum(sum) / float(columns);
        }
        float squares = 0;
        for_own_columns<WIDTH>(own, [&](int group, int column) {
            float part[WIDTH];
            values.get(part, group, column);
            for (int i = 0; i < WIDTH; i++) squares = fmaf(part[i] - m, part[i] - m, squares);
        });
        const float s = 1.0f / sqrtf(row_sum(squares) / float(columns) + eps);
        for_own_columns<WIDTH>(own, [&](int group, int column) {
            float part[WIDTH], scale[WIDTH], shift[WIDTH] = {};
            values.get(part, group, column);
            load(scale, weight + column);
            if (bias != nullptr) load(shift, bias + column);
            for (int i = 0; i < WIDTH; i++) part[i] = fmaf((part[i] - m) * s, scale[i], shift[i]);
            store(out.row(row) + column, part);
        });
        if (own == 0 || threadIdx.x != 0) continue;
        if (mean != nullptr) mean[row] = m;
        rstd[row] = s;
    }
}

// With h = (x - mean) rstd and g = dout weight:
//   dx += rstd (g - mean(g) - h mean(g h)),  dweight += dout h,  dbias += dout
// For the RMS norm `mean` is null, h = x rstd and mean(g) is left out. A block adds up its rows' dweight and, if
// `with_bias`, dbias: partial (blocks, 2, columns).
template <class T, int WIDTH>
__global__ void __launch_bounds__(BACKWARD_RESIDENT_THREADS)
    norm_backward(Rows<T> dx, float* partial, bool with_bias, Rows<const T> dout, Rows<const T> x, const T* weight,
                  const float* mean, const float* rstd, int64_t rows, int columns) {
    float* block_sums = partial + int64_t(blockIdx.x) * 2 * columns;
    OwnSums<WIDTH> dweight(block_sums, columns), dbias(block_sums + columns, columns);
    const int64_t step = int64_t(gridDim.x) * blockDim.y;
    for (int64_t first = int64_t(blockIdx.x) * blockDim.y; first < rows; first += step) {
        const int64_t row = first + threadIdx.y;
        const int own = row < rows ? columns : 0;
        const OwnColumns<T, WIDTH> values(x.row(row), own), gradients(dout.row(row), own), before(dx.row(row), own);
        const float m = own != 0 && mean != nullptr ? mean[row] : 0, s = own != 0 ? rstd[row] : 0;
        float g_sum = 0, gh_sum = 0;
        for_own_columns<WIDTH>(own, [&](int group, int column) {
            float h[WIDTH], d[WIDTH], scale[WIDTH];
            values.get(h, group, column);
            gradients.get(d, group, column);
            load(scale, weight + column);
            for (int i = 0; i < WIDTH; i++) {
                const float g = d[i] * scale[i];
                g_sum += g;
                gh_sum = fmaf(g, (h[i] - m) * s, gh_sum);
            }
        });
        const float g_mean = mean != nullptr ? row_sum(g_sum) / float(columns) : 0;
        const float gh_mean = row_sum(gh_sum) / float(columns);
        for_own_columns<WIDTH>(own, [&](int group, int column) {
            float h[WIDTH], d[WIDTH], scale[WIDTH], total[WIDTH];
            values.get(h, group, column);
            gradients.get(d, group, column);
            before.get(total, group, column);
            load(scale, weight + column);
            for (int i = 0; i < WIDTH; i++) {
                h[i] = (h[i] - m) * s;
                total[i] = fmaf(s, fmaf(d[i], scale[i], -fmaf(h[i], gh_mean, g_mean)), total[i]);
                h[i] *= d[i];
            }
            store(dx.row(row) + column, total);
            dweight.add(group, column, h);
            if (with_bias) dbias.add(group, column, d);
        });
    }
    for (unsigned y = 0; y < blockDim.y; y++) {
        if (threadIdx.y == y) {
            dweight.flush(columns, y > 0);
            if (with_bias) dbias.flush(columns, y > 0);
        }
        sync_threads();
    }
}

void run_forward(const char* name, Tensor out, Tensor mean, Tensor rstd, Tensor x, Tensor weight, Tensor bias,
                 float eps, cudaStream_t stream) {
    const int64_t N = x.rows, C = x.cols;
    check_columns(OpCheck(name), x);
    if (x.count() == 0) return;
    dispatch(x.dtype, in_packs({out, x, weight, bias}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        const dim3 block = row_threads(C, WIDTH, FORWARD_THREADS);
        check(launch(norm_forward<T, WIDTH>, dim3(blocks_for(N, block.y)), block, SHARED_BYTES, stream, rows_of<T>(out),
                     mean.f32(), rstd.f32(), rows_of<const T>(x), static_cast<const T*>(weight.data),
                     static_cast<const T*>(bias.data), eps, N, C),
              name);
    });
}

void run_backward(const char* name, Tensor dx, Tensor dweight, Tensor dbias, Tensor dout, Tensor x, Tensor weight,
                  Tensor mean, Tensor rstd, const Context& context, Scratch& scratch) {
    const int64_t N = x.rows, C = x.cols;
    check_columns(OpCheck(name), x);
    if (x.count() == 0) return;
    dispatch(x.dtype, in_packs({dx, dout, x, weight}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        const dim3 block = row_threads(C, WIDTH, BACKWARD_THREADS);
        const unsigned blocks = std::min(blocks_for(N, block.y), BACKWARD_BLOCKS * unsigned(context.multiprocessors()));
        auto* partial = static_cast<float*>(scratch.get(size_t(blocks) * 2 * size_t(C) * sizeof(float)));
        check(launch(norm_backward<T, WIDTH>, dim3(blocks), block, SHARED_BYTES, context.stream(), rows_of<T>(dx),
                     partial, bool(dbias), rows_of<const T>(dout), rows_of<const T>(x),
                     static_cast<const T*>(weight.data), mean.f32(), rstd.f32(), N, C),
              name);
        add_partial_sums(dweight.f32(), dbias.f32(), partial, blocks, 2 * C, C, context.stream());
    });
}

}  // namespace

void CudaBackend::layer_norm_forward(Tensor out, Tensor mean, Tensor rstd, Tensor x, Tensor weight, Tensor bias,
                                     float eps) {
    const OpCheck op("layer_norm_forward");
    const int64_t N = x.rows, C = x.cols;
    op.shape("out", out, N, C, compute_);
    op.shape("mean", mean, 1, N);
    op.shape("rstd", rstd, 1, N);
    op.shape("x", x, N, C, compute_);
    op.shape("weight", weight, 1, C, compute_);
    op.optional_shape("bias", bias, 1, C, compute_);
    run_forward("layer_norm_forward", out, mean, rstd, x, weight, bias, eps, context_.stream());
}

void CudaBackend::layer_norm_backward(Tensor dx, Tensor dweight, Tensor dbias, Tensor dout, Tensor x, Tensor weight,
                                      Tensor mean, Tensor rstd) {
    const OpCheck op("layer_norm_backward");
    const int64_t N = x.rows, C = x.cols;
    op.shape("dx", dx, N, C, compute_);
    op.shape("dweight", dweight, 1, C);
    op.optional_shape("dbias", dbias, 1, C);
    op.shape("dout", dout, N, C, compute_);
    op.shape("x", x, N, C, compute_);
    op.shape("weight", weight, 1, C, compute_);
    op.shape("mean", mean, 1, N);
    op.shape("rstd", rstd, 1, N);
    run_backward("layer_norm_backward", dx, dweight, dbias, dout, x, weight, mean, rstd, context_, scratch_);
}

void CudaBackend::rms_norm_forward(Tensor out, Tensor rstd, Tensor x, Tensor weight, float eps) {
    const OpCheck op("rms_norm_forward");
    const int64_t N = x.rows, C = x.cols;
    op.shape("out", out, N, C, compute_);
    op.shape("rstd", rstd, 1, N);
    op.shape("x", x, N, C, compute_);
    op.shape("weight", weight, 1, C, compute_);
    run_forward("rms_norm_forward", out, {}, rstd, x, weight, {}, eps, context_.stream());
}

void CudaBackend::rms_norm_backward(Tensor dx, Tensor dweight, Tensor dout, Tensor x, Tensor weight, Tensor rstd) {
    const OpCheck op("rms_norm_backward");
    const int64_t N = x.rows, C = x.cols;
    op.shape("dx", dx, N, C, compute_);
    op.shape("dweight", dweight, 1, C);
    op.shape("dout", dout, N, C, compute_);
    op.shape("x", x, N, C, compute_);
    op.shape("weight", weight, 1, C, compute_);
    op.shape("rstd", rstd, 1, N);
    run_backward("rms_norm_backward", dx, dweight, {}, dout, x, weight, {}, rstd, context_, scratch_);
}

}  // namespace dllm::cuda
