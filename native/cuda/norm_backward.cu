// The backward passes of layer norm and RMS norm.
#include "../norm_check.h"
#include "backend.h"
#include "column_sums.h"
#include "dispatch.h"
#include "norm_row.h"

#include <hardware.h>

#include <algorithm>

namespace dllm::cuda {
namespace {

// Threads in a block, and blocks that a multiprocessor holds at once, at up to 168 registers a thread: as many blocks
// are launched, and each goes through many rows.
constexpr unsigned BACKWARD_THREADS = 128, BACKWARD_BLOCKS = 3;
constexpr unsigned BACKWARD_RESIDENT_THREADS = BACKWARD_BLOCKS * BACKWARD_THREADS;
static_assert(std::max(MAX_NORM_ROW_THREADS, BACKWARD_THREADS) <= BACKWARD_RESIDENT_THREADS);

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

void run_backward(const char* name, Tensor dx, Tensor dweight, Tensor dbias, Tensor dout, Tensor x, Tensor weight,
                  Tensor mean, Tensor rstd, const Context& context, Scratch& scratch) {
    const int64_t N = x.rows, C = x.cols;
    check_columns(OpCheck(name), x);
    if (x.count() == 0) return;
    dispatch(x.dtype, in_packs({dx, dout, x, weight}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        const dim3 block = norm_block(C, WIDTH, BACKWARD_THREADS);
        const unsigned blocks = std::min(blocks_for(N, block.y), BACKWARD_BLOCKS * unsigned(context.multiprocessors()));
        auto* partial = static_cast<float*>(scratch.get(size_t(blocks) * 2 * size_t(C) * sizeof(float)));
        check(launch(norm_backward<T, WIDTH>, dim3(blocks), block, norm_shared_bytes(block), context.stream(),
                     rows_of<T>(dx), partial, bool(dbias), rows_of<const T>(dout), rows_of<const T>(x),
                     static_cast<const T*>(weight.data), mean.f32(), rstd.f32(), N, C),
              name);
        add_partial_sums(dweight.f32(), dbias.f32(), partial, blocks, 2 * C, C, context.stream());
    });
}

}  // namespace

void CudaBackend::layer_norm_backward(Tensor dx, Tensor dweight, Tensor dbias, Tensor dout, Tensor x, Tensor weight,
                                      Tensor mean, Tensor rstd) {
    check_layer_norm_backward(OpCheck("layer_norm_backward"), dx, dweight, dbias, dout, x, weight, mean, rstd,
                              compute_);
    run_backward("layer_norm_backward", dx, dweight, dbias, dout, x, weight, mean, rstd, context_, scratch_);
}

void CudaBackend::rms_norm_backward(Tensor dx, Tensor dweight, Tensor dout, Tensor x, Tensor weight, Tensor rstd) {
    check_rms_norm_backward(OpCheck("rms_norm_backward"), dx, dweight, dout, x, weight, rstd, compute_);
    run_backward("rms_norm_backward", dx, dweight, {}, dout, x, weight, {}, rstd, context_, scratch_);
}

}  // namespace dllm::cuda
