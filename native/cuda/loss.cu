// The weighted cross-entropy: one read of the logits, their gradient written in place.
#include "backend.h"
#include "row_packs.h"
#include "softmax.h"

namespace dllm::cuda {
namespace {

constexpr int MOST_WARPS = 16, MOST_THREADS = MOST_WARPS * WARP_SIZE;

// losses (rows) = weight * nll, logits (rows, columns) become weight * (softmax - one-hot of target). The first
// `cached_packs` packs of a row stay in shared memory between the two sweeps.
template <class T>
__global__ void __launch_bounds__(MOST_THREADS, 2)
    cross_entropy_rows(float* losses, Rows<T> logits, const int32_t* targets, const float* weights, int64_t rows,
                       int columns, int cached_packs) {
    constexpr int WIDTH = PACK<T>;
    auto* const caches = shared_memory<uint4>();  // (rows, cached_packs)
    auto* const cache = caches + threadIdx.y * cached_packs;
    auto* const partial = reinterpret_cast<SoftmaxSum*>(caches + blockDim.y * cached_packs);  // (warps)
    const int64_t m = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
    if (m >= rows) return;  // a block of several rows has no barrier
    const PackedRow<T> row(logits.row(m), columns);
    const int packs = row.packs(), target = targets[m];
    const float weight = weights[m];
    if (weight == 0) {
        const float zeros[WIDTH] = {};
        for (int pack = int(threadIdx.x); pack < packs; pack += int(blockDim.x)) row.store(pack, zeros);
        if (threadIdx.x == 0) losses[m] = 0;
        return;
    }

    // A target outside the row has no likelihood; its loss is NaN.
    const bool known = target >= 0 && target < columns;
    const float target_logit = known && threadIdx.x == 0 ? to_float(row.data[target]) : NAN;
    SoftmaxSum softmax;
    sweep(
        packs, [&](int pack) { return row.load(pack); },
        [&](int pack, const uint4& bits) {
            if (pack < cached_packs) cache[pack] = bits;
            float x[WIDTH];
            unpack<T>(x, bits);
            softmax.add(x);
        });
    softmax = merge_row(softmax, partial);  // nothing is written before all is read

    const float scale = weight / softmax.sum;
    sweep(
        packs, [&](int pack) { return pack < cached_packs ? cache[pack] : row.load(pack); },
        [&](int pack, const uint4& bits) {
            float x[WIDTH];
            unpack<T>(x, bits);
            for (int i = 0; i < WIDTH; i++) x[i] = softmax.exponential(x[i]) * scale;
            const unsigned place = unsigned(target) - unsigned(pack * WIDTH);
            if (place < WIDTH) {
                for (unsigned i = 0; i < WIDTH; i++) x[i] -= i == place ? weight : 0;
            }
            row.store(pack, x);
        });
    if (threadIdx.x == 0) losses[m] = weight * (logf(softmax.sum) + (softmax.largest - target_logit));
}

constexpr int SUM_THREADS = 1024;

// loss += the sum of losses (rows), in one block
__global__ void __launch_bounds__(SUM_THREADS) add_losses(float* loss, const float* losses, int64_t rows) {
    double sum = 0;
    for (int64_t m = threadIdx.x; m < rows; m += SUM_THREADS) sum += double(losses[m]);
    sum = block_sum(sum, shared_memory<double>());
    if (threadIdx.x == 0) *loss += float(sum);
}

}  // namespace

void CudaBackend::cross_entropy(Tensor loss, Tensor logits, Tensor targets, Tensor weights) {
    const OpCheck op("cross_entropy");
    const int64_t M = logits.rows, V = logits.cols;
    op.shape("loss", loss, 1, 1);
    op.shape("logits", logits, M, V, compute_);
    op.shape("targets", targets, 1, M, DType::i32);
    op.shape("weights", weights, 1, M);
    if (M == 0) return;
    op.that(V > 0, "logits must have columns");
    check_columns(op, logits);
    const cudaStream_t stream = context_.stream();
    auto* const losses = static_cast<float*>(scratch_.get(size_t(M) * sizeof(float)));
    const dim3 block = row_threads<MOST_WARPS>(logits), grid = row_grid(logits, block);
    constexpr int64_t PARTIALS = MOST_WARPS * sizeof(SoftmaxSum), PACK_BYTES = sizeof(uint4);
    // Two blocks on a multiprocessor, so that one reads while the other writes.
    const int64_t room = (context_.shared_bytes_of_half() - PARTIALS) / (block.y * PACK_BYTES);
    const int64_t cached_packs = std::min(packs_of(logits), room);
    dispatch(compute_, [&](auto element) {
        using T = decltype(element);
        check(launch(cross_entropy_rows<T>, grid, block, size_t(block.y * cached_packs * PACK_BYTES + PARTIALS), stream,
                     losses, rows_of<T>(logits), targets.i32(), weights.f32(), M, V, cached_packs),
              "cross_entropy_rows");
    });
    check(launch(add_losses, dim3(1), dim3(SUM_THREADS), SUM_THREADS / WARP_SIZE * sizeof(double), stream, loss.f32(),
                 losses, M),
          "add_losses");
}

}  // namespace dllm::cuda
