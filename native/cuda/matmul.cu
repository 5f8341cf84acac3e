// Matrix products (cuBLASLt), and the bias gradient: column sums in one fixed order.
#include "backend.h"
#include "dispatch.h"
#include "partial_sums.h"
#include "stopwatch.h"

#include <optional>

namespace dllm::cuda {
namespace {

// A block sums 32 columns of one range of rows: its 8 warps take every eighth row each.
constexpr int SUM_COLUMNS = WARP_SIZE, SUM_WARPS = 8;
constexpr int64_t ROWS_PER_RANGE = 256;

// partial (ranges, columns) = sums over each range of rows of x
template <class T>
__global__ void column_partials(float* partial, Rows<const T> x, int64_t rows, int64_t columns) {
    float* sums = shared_memory<float>();  // (SUM_WARPS, SUM_COLUMNS)
    const int lane = int(threadIdx.x) % WARP_SIZE, warp = int(threadIdx.x) / WARP_SIZE;
    const int64_t column = int64_t(blockIdx.x) * SUM_COLUMNS + lane;
    const int64_t first = int64_t(blockIdx.y) * ROWS_PER_RANGE;
    const int64_t end = first + ROWS_PER_RANGE < rows ? first + ROWS_PER_RANGE : rows;
    float sum = 0;
    if (column < columns)
        for (int64_t row = first + warp; row < end; row += SUM_WARPS) sum += to_float(x.row(row)[column]);
    sums[warp * SUM_COLUMNS + lane] = sum;
    sync_threads();
    if (warp != 0 || column >= columns) return;
    float total = 0;
    for (int w = 0; w < SUM_WARPS; w++) total += sums[w * SUM_COLUMNS + lane];
    partial[int64_t(blockIdx.y) * columns + column] = total;
}

void add_column_sums(Tensor out, Tensor x, Scratch& scratch, cudaStream_t stream) {
    const int64_t ranges = ceil_div(x.rows, ROWS_PER_RANGE);
    auto* partial = static_cast<float*>(scratch.get(size_t(ranges * x.cols) * sizeof(float)));
    const dim3 grid(blocks_for(x.cols, SUM_COLUMNS), unsigned(ranges));
    dispatch(x.dtype, [&](auto element) {
        using T = decltype(element);
        check(launch(column_partials<T>, grid, dim3(SUM_WARPS * WARP_SIZE), SUM_WARPS * SUM_COLUMNS * sizeof(float),
                     stream, partial, rows_of<const T>(x), x.rows, x.cols),
              "column_partials");
    });
    add_partial_sums(out.f32(), nullptr, partial, ranges, x.cols, x.cols, stream);
}

void check_shapes(const OpCheck& op, const Tensor& out, const Tensor& x, const Tensor& weight, WeightLayout layout,
                  DType compute, DType weight_type) {
    const int64_t N = x.rows, I = x.cols, O = out.cols;
    op.shape("out", out, N, O, compute);
    op.shape("x", x, N, I, compute);
    if (layout == WeightLayout::in_out) {
        op.shape("weight", weight, I, O, weight_type);
    } else {
        op.shape("weight", weight, O, I, weight_type);
    }
}

}  // namespace

void CudaBackend::matmul_forward(Tensor out, Tensor x, Tensor weight, Tensor bias, Tensor residual,
                                 WeightLayout layout) {
    const OpCheck op("matmul_forward");
    check_shapes(op, out, x, weight, layout, compute_, compute_);
    op.optional_shape("bias", bias, 1, out.cols, compute_);
    op.optional_shape("residual", residual, out.rows, out.cols, compute_);
    if (out.count() == 0) return;
    plans_.run({out, {x, false}, {weight, layout == WeightLayout::out_in}, residual, bias});
}

void CudaBackend::matmul_backward_input(Tensor dx, Tensor dout, Tensor weight, WeightLayout layout) {
    check_shapes(OpCheck("matmul_backward_input"), dout, dx, weight, layout, compute_, compute_);
    if (dx.count() == 0) return;
    plans_.run({dx, {dout, false}, {weight, layout == WeightLayout::in_out}});
}

void CudaBackend::matmul_backward_weight(Tensor dweight, Tensor dbias, Tensor x, Tensor dout, WeightLayout layout) {
    const OpCheck op("matmul_backward_weight");
    check_shapes(op, dout, x, dweight, layout, compute_, DType::f32);
    op.optional_shape("dbias", dbias, 1, dout.cols);
    if (dout.count() == 0) return;
    const bool in_out = layout == WeightLayout::in_out;
    const auto product = [&](Tensor to) -> MatmulProduct {
        if (in_out) return {to, {x, true}, {dout, false}, dweight};
        return {to, {dout, true}, {x, false}, dweight};
    };
    if (!dbias) return plans_.run(product(dweight));

    const auto with_sums = [&](Tensor to) {
        MatmulProduct fused = product(to);
        fused.epilogue = in_out ? Epilogue::sums_of_b : Epilogue::sums_of_a;
        fused.sums = {scratch_.get(size_t(dout.cols) * sizeof(float)), 1, dout.cols, dout.cols, DType::f32};
        return fused;
    };
    const auto accumulate = [&](Tensor to_weight, Tensor to_bias, bool fused) {
        if (fused) {
            const MatmulProduct both = with_sums(to_weight);
            plans_.run(both);
            add_partial_sums(to_bias.f32(), nullptr, both.sums.f32(), 1, dout.cols, dout.cols, context_.stream());
        } else {
            plans_.run(product(to_weight));
            add_column_sums(to_bias, dout, scratch_, context_.stream());
        }
    };
    std::optional<Elsewhere> weight_elsewhere, bias_elsewhere;
    const bool fused = plans_.fuses(with_sums(dweight), [&](bool fuse) {
        if (!weight_elsewhere) weight_elsewhere.emplace(context_, dweight);
        if (!bias_elsewhere) bias_elsewhere.emplace(context_, dbias);
        accumulate(weight_elsewhere->tensor(), bias_elsewhere->tensor(), fuse);
    });
    accumulate(dweight, dbias, fused);
}

}  // namespace dllm::cuda
