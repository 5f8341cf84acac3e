// Op cases: embedding, norms, and the moving, gathering and scattering of rows.
#include "op_cases.h"
#include "reference/dropout.h"
#include "reference/embedding.h"
#include "reference/loss.h"
#include "reference/norm.h"

#include <algorithm>

namespace dllm::test {
namespace {

constexpr double EXACT = 0;
constexpr float EPS = 1e-5f;

struct RowShape {
    int64_t rows, cols;
};

// None, one, odd, around a vector, over a tile of 64, over a chunk of 256 rows, enough work for several threads, and
// rows of 16-byte packs for more than a warp of a GPU.
constexpr RowShape ROW_SHAPES[] = {{0, 5},   {1, 1},    {3, 1},    {1, 17},    {5, 33},
                                   {65, 64}, {257, 15}, {4, 1025}, {600, 130}, {70, 776}};

// Half of all tokens are one id, as in a batch of mask tokens.
std::vector<int32_t> half_masked(Random& random, int64_t count, int32_t vocab_size) {
    std::vector<int32_t> tokens = random.integers(count, vocab_size);
    for (int32_t& token : tokens) token = random.bits() % 2 == 0 ? vocab_size - 1 : token;
    return tokens;
}

void add_embedding(OpCases& cases, RowShape shape, bool with_positions, int32_t V = 67) {
    const auto [N, C] = shape;
    const int32_t P = int32_t(N) + 3;
    const std::string suffix = (V == 67 ? "" : " of " + std::to_string(V)) + (with_positions ? " with positions" : "");
    const auto forward = [=](OpRun& run) {
        Integers& tokens = run.input("tokens", half_masked(run.random, N, V));
        Integers& positions = run.input("positions", run.random.integers(N, P));
        Operand& token_table = run.input("token_table", run.random.normal<float>(V, C));
        Operand& position_table =
            with_positions ? run.input("position_table", run.random.normal<float>(P, C)) : run.absent();
        Operand& out = run.written("out", N, C);
        run.backend.embedding_forward(out.tensor, tokens.tensor, positions.tensor, token_table.tensor,
                                      position_table.tensor);
        run.twin([&] {
            reference::embedding_forward(out.twin, tokens.twin, positions.twin, token_table.twin, position_table.twin);
        });
    };
    add_case(cases, case_name("embedding_forward", {N, C}) + suffix, 1e-7, forward, one_rounding(N * C));
    add_case(cases, case_name("embedding_backward", {N, C}) + suffix, 1e-6, [=](OpRun& run) {
        Integers& tokens = run.input("tokens", half_masked(run.random, N, V));
        Integers& positions = run.input("positions", run.random.integers(N, P));
        Operand& dout = run.input("dout", run.random.normal<float>(N, C));
        Operand& dtoken_table = run.changed_f32("dtoken_table", run.random.normal<float>(V, C));
        Operand& dposition_table =
            with_positions ? run.changed_f32("dposition_table", run.random.normal<float>(P, C)) : run.absent();
        run.backend.embedding_backward(dtoken_table.tensor, dposition_table.tensor, dout.tensor, tokens.tensor,
                                       positions.tensor);
        run.twin([&] {
            reference::embedding_backward(dtoken_table.twin, dposition_table.twin, dout.twin, tokens.twin,
                                          positions.twin);
        });
    });
}

// In a single column dx is rstd = eps^(-1/2) times a difference that is zero but for rounding.
double layer_norm_tolerance(int64_t cols) { return cols == 1 ? 5e-5 : 2e-6; }

// A mean far from zero shows a variance computed as E[x^2] - E[x]^2.
void add_layer_norm(OpCases& cases, RowShape shape, bool with_bias, double scale, double mean, double tolerance) {
    const auto [N, C] = shape;
    const std::string name =
        case_name("layer_norm", {N, C}) + (with_bias ? " bias" : "") + " mean " + std::to_string(int(mean));
    const auto forward_backward = [=](OpRun& run) {
        Operand& x = run.input("x", run.random.normal<float>(N, C, scale, mean));
        Operand& weight = run.input("weight", run.random.normal<float>(1, C));
        Operand& bias = with_bias ? run.input("bias", run.random.normal<float>(1, C)) : run.absent();
        Operand& dout = run.input("dout", run.random.normal<float>(N, C));
        Operand &out = run.written("out", N, C), &mean_out = run.written_f32("mean", 1, N);
        Operand &rstd = run.written_f32("rstd", 1, N), &dx = run.changed("dx", run.random.normal<float>(N, C));
        Operand& dweight = run.changed_f32("dweight", run.random.normal<float>(1, C));
        Operand& dbias = with_bias ? run.changed_f32("dbias", run.random.normal<float>(1, C)) : run.absent();
        run.backend.layer_norm_forward(out.tensor, mean_out.tensor, rstd.tensor, x.tensor, weight.tensor, bias.tensor,
                                       EPS);
        run.backend.layer_norm_backward(dx.tensor, dweight.tensor, dbias.tensor, dout.tensor, x.tensor, weight.tensor,
                                        mean_out.tensor, rstd.tensor);
        run.twin([&] {
            reference::layer_norm_forward(out.twin, mean_out.twin, rstd.twin, x.twin, weight.twin, bias.twin, EPS);
            reference::layer_norm_backward(dx.twin, dweight.twin, dbias.twin, dout.twin, x.twin, weight.twin,
                                           mean_out.twin, rstd.twin);
        });
    };
    add_case(cases, name, tolerance, forward_backward, one_rounding(N * C));
}

void add_rms_norm(OpCases& cases, RowShape shape, double scale) {
    const auto [N, C] = shape;
    const std::string name = case_name("rms_norm", {N, C}) + (scale == 1 ? "" : " scaled " + std::to_string(scale));
    const auto forward_backward = [=](OpRun& run) {
        Operand& x = run.input("x", run.random.normal<float>(N, C, scale));
        Operand& weight = run.input("weight", run.random.normal<float>(1, C));
        Operand& dout = run.input("dout", run.random.normal<float>(N, C));
        Operand &out = run.written("out", N, C), &rstd = run.written_f32("rstd", 1, N);
        Operand& dx = run.changed("dx", run.random.normal<float>(N, C));
        Operand& dweight = run.changed_f32("dweight", run.random.normal<float>(1, C));
        run.backend.rms_norm_forward(out.tensor, rstd.tensor, x.tensor, weight.tensor, EPS);
        run.backend.rms_norm_backward(dx.tensor, dweight.tensor, dout.tensor, x.tensor, weight.tensor, rstd.tensor);
        run.twin([&] {
            reference::rms_norm_forward(out.twin, rstd.twin, x.twin, weight.twin, EPS);
            reference::rms_norm_backward(dx.twin, dweight.twin, dout.twin, x.twin, weight.twin, rstd.twin);
        });
    };
    add_case(cases, name, 2e-6, forward_backward, one_rounding(N * C));
}

void add_moves(OpCases& cases, RowShape shape) {
    const auto [N, C] = shape;
    add_case(cases, case_name("zero", {N, C}), EXACT, [=](OpRun& run) {
        Operand& out = run.written("out", N, C);
        run.backend.zero(out.tensor);
        run.twin([&] { std::fill(out.twin.data.begin(), out.twin.data.end(), 0.0); });
    });
    add_case(cases, case_name("copy", {N, C}), EXACT, [=](OpRun& run) {
        Operand &x = run.input("x", run.random.normal<float>(N, C)), &out = run.written("out", N, C);
        run.backend.copy(out.tensor, x.tensor);
        run.twin([&] { out.twin = x.twin; });
    });
    // Within one type where the backend computes in float32
    const auto rounded = [=](OpRun& run) {
        Operand &x = run.input_f32("x", run.random.normal<float>(N, C)), &out = run.written("out", N, C);
        run.backend.copy(out.tensor, x.tensor);
        run.twin([&] { out.twin = x.twin; });
    };
    add_case(cases, case_name("copy rounded", {N, C}), EXACT, rounded, one_rounding(N * C));
    add_case(cases, case_name("copy widened", {N, C}), EXACT, [=](OpRun& run) {
        Operand &x = run.input("x", run.random.normal<float>(N, C)), &out = run.written_f32("out", N, C);
        run.backend.copy(out.tensor, x.tensor);
        run.twin([&] { out.twin = x.twin; });
    });
}

void add_rows(OpCases& cases, RowShape shape) {
    const auto [M, C] = shape;
    const int32_t N = int32_t(2 * M + 1);
    add_case(cases, case_name("gather_rows", {M, C}), EXACT, [=](OpRun& run) {
        Integers& rows = run.input("rows", run.random.distinct(M, N));
        Operand &x = run.input("x", run.random.normal<float>(N, C)), &out = run.written("out", M, C);
        run.backend.gather_rows(out.tensor, x.tensor, rows.tensor);
        run.twin([&] { reference::gather_rows(out.twin, x.twin, rows.twin); });
    });
    const auto scatter = [=](OpRun& run) {
        Integers& rows = run.input("rows", run.random.distinct(M, N));
        Operand& dout = run.input("dout", run.random.normal<float>(M, C));
        Operand& dx = run.changed("dx", run.random.normal<float>(N, C));
        run.backend.scatter_rows(dx.tensor, dout.tensor, rows.tensor);
        run.twin([&] { reference::scatter_rows(dx.twin, dout.twin, rows.twin); });
    };
    add_case(cases, case_name("scatter_rows", {M, C}), 1e-7, scatter, one_rounding(M * C));
}

void add_dropout(OpCases& cases, RowShape shape, float probability, bool with_residual) {
    const auto [N, C] = shape;
    const auto draw_of = [=](const Integers& seed) {
        return DropoutDraw{probability, seed.tensor, std::max<int64_t>(1, N / 3), 7, {}};
    };
    const std::vector<int32_t> step_seed = {int32_t(0x89abcdef), 0x1234567, 3};
    const std::string name = case_name("dropout", {N, C}) + " " + std::to_string(probability);
    const auto outside = [=](OpRun& run) {
        Operand& x = run.input("x", run.random.normal<float>(N, C));
        Operand& residual = with_residual ? run.input("residual", run.random.normal<float>(N, C)) : run.absent();
        Operand& out = run.written("out", N, C);
        Integers& seed = run.input("seed", step_seed);
        const DropoutDraw draw = draw_of(seed);
        run.backend.dropout(out.tensor, x.tensor, residual.tensor, draw);
        run.twin([&] { reference::dropout(out.twin, x.twin, residual.twin, seed.twin, {}, draw); });
    };
    const auto in_place = [=](OpRun& run) {
        Operand& out = run.changed("out", run.random.normal<float>(N, C));
        Integers& seed = run.input("seed", step_seed);
        DropoutDraw draw = draw_of(seed);
        if (!with_residual) {
            run.backend.dropout(out.tensor, out.tensor, {}, draw);
            run.twin([&] { reference::dropout(out.twin, out.twin, {}, seed.twin, {}, draw); });
            return;
        }
        Operand& x = run.input("x", run.random.normal<float>(N, C));
        Integers& rows = run.input("rows", run.random.distinct(N, 3 * N));
        draw.rows = rows.tensor;
        run.backend.dropout(out.tensor, x.tensor, out.tensor, draw);
        run.twin([&] { reference::dropout(out.twin, x.twin, out.twin, seed.twin, rows.twin, draw); });
    };
    const double bfloat16_tolerance = one_rounding(N * C);
    add_case(cases, name + (with_residual ? " residual" : ""), 1e-7, outside, bfloat16_tolerance);
    add_case(cases, name + (with_residual ? " of some rows in place of the residual" : " in place"), 1e-7, in_place,
             bfloat16_tolerance);
}

}  // namespace

void add_row_cases(OpCases& cases) {
    for (const RowShape shape : ROW_SHAPES) {
        for (const bool with_positions : {false, true}) add_embedding(cases, shape, with_positions);
        for (const bool with_bias : {false, true}) {
            add_layer_norm(cases, shape, with_bias, 1, 0, layer_norm_tolerance(shape.cols));
        }
        add_rms_norm(cases, shape, 1);
        add_rows(cases, shape);
        add_moves(cases, shape);
        for (const bool with_residual : {false, true}) add_dropout(cases, shape, 0.3f, with_residual);
    }
    // Several chunks, and three digits of an id, where a GPU sorts the tokens; runs of equal tokens beyond a piece.
    for (const int64_t cols : {5, 8}) add_embedding(cases, {4500, cols}, true, 70001);
    add_embedding(cases, {4500, 8}, false, 3);
    add_embedding(cases, {2048, 4}, true);
    // Several warps to a row of a GPU, and more than its threads keep of one
    for (const RowShape shape : {RowShape{5, 2048}, RowShape{2, 8200}}) {
        add_layer_norm(cases, shape, true, 1, 0, layer_norm_tolerance(shape.cols));
        add_rms_norm(cases, shape, 1);
    }
    // More rows than the blocks of a GPU of 160 multiprocessors take at once
    add_layer_norm(cases, {2000, 256}, true, 1, 0, layer_norm_tolerance(256));
    add_layer_norm(cases, {9, 257}, true, 0.5, 100, 5e-5);
    add_rms_norm(cases, {9, 257}, 1e-4);  // eps decides
    add_rms_norm(cases, {9, 257}, 1e4);
    add_dropout(cases, {9, 257}, 0, true);
    add_dropout(cases, {9, 521}, 0.99f, true);
}

}  // namespace dllm::test
