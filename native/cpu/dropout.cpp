// Dropout.
#include "../rng.h"
#include "../thread_pool.h"
#include "backend.h"
#include "check.h"

namespace dllm {

namespace {

constexpr int64_t ROWS_PER_UNIT = 64;

}  // namespace

void CpuBackend::dropout(Tensor out, Tensor x, Tensor residual, const DropoutDraw& draw) {
    const OpCheck check("dropout");
    const int64_t N = out.rows, C = out.cols;
    check.shape("out", out, N, C);
    check.shape("x", x, N, C);
    check.optional_shape("residual", residual, N, C);
    check.that(draw.probability >= 0 && draw.probability < 1, "probability must be at least 0 and below 1");
    check.that(draw.length > 0, "length must be at least 1");
    check.shape("seed", draw.seed, 1, 3, DType::i32);
    check.optional_shape("rows", draw.rows, 1, N, DType::i32);
    const uint32_t threshold = dropout_threshold(draw.probability);
    const float scale = 1.0f / (1.0f - draw.probability);
    const int32_t* words = draw.seed.i32();
    const uint64_t seed = uint64_t(uint32_t(words[1])) << 32 | uint32_t(words[0]);
    parallel_ranges(N, ROWS_PER_UNIT, [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; n++) {
            const int64_t row = draw.rows ? draw.rows.i32()[n] : n;
            const PhiloxKey key = philox_key(seed, uint64_t(words[2] + row / draw.length));
            const NoiseKey noise{key.words[0], key.words[1], uint32_t(row % draw.length), draw.place,
                                 uint32_t(Stream::dropout)};
            kernels_.dropout(out.f32() + n * out.stride, x.f32() + n * x.stride,
                             residual ? residual.f32() + n * residual.stride : nullptr, C, threshold, scale, noise);
        }
    });
}

}  // namespace dllm
