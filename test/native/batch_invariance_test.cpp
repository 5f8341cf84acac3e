// A row, or a sequence, gives the same bits alone as within a larger batch: samples do not depend on their neighbours.
#include "cpu/backend.h"
#include "cpu/kernels.h"
#include "op_run.h"
#include "plan_table.h"
#include "reference/query_key.h"
#include "test.h"

#include <functional>
#include <numeric>

namespace dllm {
namespace {

using namespace test;
using reference::Matrix;

constexpr int64_t ROWS = 130;
constexpr float EPS = 1e-5f;

struct Range {
    int64_t begin, count;
};

// Rows of a matrix that is the same for every range.
Matrix<float> rows_of(OpRun& run, int64_t cols, Range range) {
    const Matrix<float> all = run.random.normal<float>(ROWS, cols);
    Matrix<float> rows(range.count, cols);
    std::copy_n(all.data.data() + range.begin * cols, range.count * cols, rows.data.data());
    return rows;
}

std::vector<int32_t> integers_of(OpRun& run, int32_t bound, Range range) {
    const std::vector<int32_t> all = run.random.integers(ROWS, bound);
    return {all.begin() + range.begin, all.begin() + range.begin + range.count};
}

// Runs an op on a range of the rows; the result has one row (or, of 1 x N, one element) for each of them.
using RowsOp = std::function<Tensor(OpRun& run, Range range)>;

std::vector<uint32_t> bits_of(Backend& backend, const RowsOp& op, Range range) {
    OpRun run(backend, Placement::tight, false);
    return run.bits(op(run, range));
}

void check_rows(Backend& backend, const std::string& name, const RowsOp& op) {
    const std::vector<uint32_t> all = bits_of(backend, op, {0, ROWS});
    const int64_t width = int64_t(all.size()) / ROWS;
    for (const Range range : {Range{0, 1}, Range{1, 1}, Range{63, 3}, Range{64, 64}, Range{100, 30}, Range{129, 1}}) {
        const std::vector<uint32_t> expected(all.begin() + range.begin * width,
                                             all.begin() + (range.begin + range.count) * width);
        if (bits_of(backend, op, range) == expected) continue;
        throw Failure{join(backend.name(), ", ", name, ": rows ", range.begin, " ... ", range.begin + range.count - 1,
                           " have other bits alone"),
                      std::source_location::current()};
    }
}

void check_rows(const std::string& name, const RowsOp& op) {
    for (const std::string& path : usable_paths()) check_rows(*make_cpu_backend(path), name, op);
}

// In float32 and in bfloat16.
void check_product_rows(const std::string& name, const RowsOp& op) {
    check_rows(name, op);
    for (const std::string& products : usable_bfloat16_products())
        check_rows(*make_cpu_backend(kernels().name, products), name, op);
}

TEST(matmul_rows_do_not_depend_on_the_batch) {
    for (const WeightLayout layout : {WeightLayout::in_out, WeightLayout::out_in}) {
        for (const int64_t I : {5, 70, 1000}) {
            const int64_t O = 67;
            const auto weight = [=](OpRun& run) {
                return run
                    .input("weight", layout == WeightLayout::in_out ? run.random.normal<float>(I, O)
                                                                    : run.random.normal<float>(O, I))
                    .tensor;
            };
            check_product_rows("matmul_forward", [=](OpRun& run, Range range) {
                const Tensor w = weight(run), bias = run.input("bias", run.random.normal<float>(1, O)).tensor;
                const Tensor x = run.input("x", rows_of(run, I, range)).tensor;
                const Tensor residual = run.input("residual", rows_of(run, O, range)).tensor;
                const Tensor out = run.written("out", range.count, O).tensor;
                run.backend.matmul_forward(out, x, w, bias, residual, layout);
                return out;
            });
            check_product_rows("matmul_activation_forward", [=](OpRun& run, Range range) {
                const Tensor w = weight(run), x = run.input("x", rows_of(run, I, range)).tensor;
                const Tensor out = run.written("out", range.count, O).tensor;
                const Tensor pre = run.written("pre", range.count, O).tensor;
                run.backend.matmul_activation_forward(out, pre, x, w, {}, Activation::gelu, layout);
                return out;
            });
            check_product_rows("matmul_backward_input", [=](OpRun& run, Range range) {
                const Tensor w = weight(run), dout = run.input("dout", rows_of(run, O, range)).tensor;
                const Tensor dx = run.written("dx", range.count, I).tensor;
                run.backend.matmul_backward_input(dx, dout, w, layout);
                return dx;
            });
        }
    }
}

TEST(norm_rows_do_not_depend_on_the_batch) {
    for (const int64_t C : {1, 33, 384}) {
        for (const bool backward : {false, true}) {
            check_rows("layer_norm", [=](OpRun& run, Range range) {
                const Tensor weight = run.input("weight", run.random.normal<float>(1, C)).tensor;
                const Tensor bias = run.input("bias", run.random.normal<float>(1, C)).tensor;
                const Tensor x = run.input("x", rows_of(run, C, range)).tensor;
                const Tensor dout = run.input("dout", rows_of(run, C, range)).tensor;
                const Tensor out = run.written("out", range.count, C).tensor;
                const Tensor mean = run.written_f32("mean", 1, range.count).tensor;
                const Tensor rstd = run.written_f32("rstd", 1, range.count).tensor;
                run.backend.layer_norm_forward(out, mean, rstd, x, weight, bias, EPS);
                if (!backward) return out;
                const Tensor dx = run.changed("dx", rows_of(run, C, range)).tensor;
                const Tensor dweight = run.changed_f32("dweight", Matrix<float>(1, C)).tensor;
                run.backend.layer_norm_backward(dx, dweight, {}, dout, x, weight, mean, rstd);
                return dx;
            });
            check_rows("rms_norm", [=](OpRun& run, Range range) {
                const Tensor weight = run.input("weight", run.random.normal<float>(1, C)).tensor;
                const Tensor x = run.input("x", rows_of(run, C, range)).tensor;
                const Tensor dout = run.input("dout", rows_of(run, C, range)).tensor;
                const Tensor out = run.written("out", range.count, C).tensor;
                const Tensor rstd = run.written_f32("rstd", 1, range.count).tensor;
                run.backend.rms_norm_forward(out, rstd, x, weight, EPS);
                if (!backward) return out;
                const Tensor dx = run.changed("dx", rows_of(run, C, range)).tensor;
                const Tensor dweight = run.changed_f32("dweight", Matrix<float>(1, C)).tensor;
                run.backend.rms_norm_backward(dx, dweight, dout, x, weight, rstd);
                return dx;
            });
        }
    }
}

TEST(other_rows_do_not_depend_on_the_batch) {
    for (const Activation kind : {Activation::gelu, Activation::silu, Activation::swiglu}) {
        check_rows("activation", [=](OpRun& run, Range range) {
            const int64_t F = 37;
            const Tensor x = run.input("x", rows_of(run, kind == Activation::swiglu ? 2 * F : F, range)).tensor;
            const Tensor out = run.written("out", range.count, F).tensor;
            run.backend.activation_forward(out, x, kind);
            return out;
        });
    }
    check_rows("query_key", [](OpRun& run, Range range) {
        const HeadShape shape{4, 2, 10, true, EPS, true};
        const Tensor table = run.input("table", reference::rotary_table<float>(300, 10, 10000)).tensor;
        const Tensor qkv = run.changed("qkv", rows_of(run, 80, range)).tensor;
        const Tensor positions = run.input("positions", integers_of(run, 300, range)).tensor;
        const Tensor rstd = run.written_f32("rstd", range.count, 6).tensor;
        run.backend.query_key_forward(qkv, rstd, positions, table, shape);
        return qkv;
    });
    check_rows("cross_entropy", [](OpRun& run, Range range) {
        const Tensor logits = run.changed("logits", rows_of(run, 67, range)).tensor;
        const Tensor targets = run.input("targets", integers_of(run, 67, range)).tensor;
        const Tensor weights = run.input_f32("weights", Matrix<float>(1, range.count, 0.3f)).tensor;
        const Tensor loss = run.changed_f32("loss", Matrix<float>(1, 1)).tensor;
        run.backend.cross_entropy(loss, logits, targets, weights);
        return logits;
    });
    enum Output { TOKENS, CONFIDENCE, SCORE };
    for (const Output wanted : {TOKENS, CONFIDENCE, SCORE}) {
        check_rows("predict_tokens", [=](OpRun& run, Range range) {
            const Tensor logits = run.input("logits", rows_of(run, 67, range)).tensor;
            std::vector<int32_t> rows(range.count);
            std::vector<RequestPlan> plan(range.begin + range.count);  // a request of each row
            for (size_t row = 0; row < plan.size(); row++) plan[row] = {0, 0, 0, 4, philox_key(1, row)};
            std::iota(rows.begin(), rows.end(), int32_t(range.begin));
            const Predictions out{run.input("rows", rows).tensor, run.written_integers("tokens", range.count).tensor,
                                  run.written_f32("confidence", 1, range.count).tensor,
                                  run.written_f32("score", 1, range.count).tensor};
            const PredictOptions options{0.8f, 66, Remasking::entropy, 20, 0.9f};
            run.backend.predict_tokens(out, logits, plan_table(run, plan).tensor, 1, options);
            return wanted == TOKENS ? out.tokens : wanted == CONFIDENCE ? out.confidence : out.score;
        });
    }
}

}  // namespace
}  // namespace dllm
