// Dropout.
#include "../rng.h"
#include "backend.h"
#include "dispatch.h"

#include <limits>

namespace dllm::cuda {
namespace {

struct Dropped {
    uint32_t threshold;  // of the draws
    float scale;         // of what is kept
};

// The draws of WIDTH elements from `element` on: all words of its Philox blocks, or the one word of a single element.
template <int WIDTH>
__device__ inline void draw_bits(uint32_t (&bits)[WIDTH], PhiloxKey key, uint32_t place, uint32_t position,
                                 uint32_t element) {
    if constexpr (WIDTH == 1) {
        bits[0] = random_bits(key, Stream::dropout, place, position, element);
    } else {
        for (int i = 0; i < WIDTH; i += 4) {
            const PhiloxBlock block =
                philox(key, {{(element + uint32_t(i)) / 4, position, place, uint32_t(Stream::dropout)}});
            for (int j = 0; j < 4; j++) bits[i + j] = block.words[j];
        }
    }
}

// out (N, C) = residual + x scale where kept; residual may be null. seed and rows (may be null) as in DropoutDraw.
template <class T, int WIDTH>
__global__ void dropout_rows(Rows<T> out, Rows<const T> x, Rows<const T> residual, const int32_t* seed,
                             const int32_t* rows, uint32_t length, uint32_t place, Dropped dropped, int64_t N,
                             int64_t C) {
    const uint64_t step_seed = uint64_t(uint32_t(seed[1])) << 32 | uint32_t(seed[0]);
    const int64_t first_sequence = seed[2];
    for_each_group<WIDTH>(N, C, [&](int64_t n, int64_t c) {
        float values[WIDTH], added[WIDTH] = {};
        load(values, x.row(n) + c);
        if (residual.data != nullptr) load(added, residual.row(n) + c);
        const uint32_t row = rows != nullptr ? uint32_t(rows[n]) : uint32_t(n), sequence = row / length;
        uint32_t bits[WIDTH];
        draw_bits(bits, philox_key(step_seed, uint64_t(first_sequence + sequence)), place, row - sequence * length,
                  uint32_t(c));
        for (int i = 0; i < WIDTH; i++)
            values[i] = (bits[i] < dropped.threshold ? 0.0f : values[i] * dropped.scale) + added[i];
        store(out.row(n) + c, values);
    });
}

}  // namespace

void CudaBackend::dropout(Tensor out, Tensor x, Tensor residual, const DropoutDraw& draw) {
    const OpCheck op("dropout");
    const int64_t N = out.rows, C = out.cols;
    op.shape("out", out, N, C, compute_);
    op.shape("x", x, N, C, compute_);
    op.optional_shape("residual", residual, N, C, compute_);
    op.that(draw.probability >= 0 && draw.probability < 1, "probability must be at least 0 and below 1");
    constexpr int64_t MOST = std::numeric_limits<int32_t>::max();
    op.that(N <= MOST, "at most 2^31 - 1 rows");
    op.that(draw.length > 0 && draw.length <= MOST, "length must be from 1 to 2^31 - 1");
    op.shape("seed", draw.seed, 1, 3, DType::i32);
    op.optional_shape("rows", draw.rows, 1, N, DType::i32);
    if (out.count() == 0) return;
    const Dropped dropped{dropout_threshold(draw.probability), 1.0f / (1.0f - draw.probability)};
    dispatch(compute_, in_packs({out, x, residual}), [&](auto element, auto width) {
        using T = decltype(element);
        constexpr int WIDTH = decltype(width)::value;
        launch_over("dropout", dropout_rows<T, WIDTH>, N, C, WIDTH, context_.stream(), rows_of<T>(out),
                    rows_of<const T>(x), rows_of<const T>(residual), draw.seed.i32(), draw.rows.i32(), draw.length,
                    draw.place, dropped);
    });
}

}  // namespace dllm::cuda
