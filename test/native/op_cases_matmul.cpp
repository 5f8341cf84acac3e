// Op cases: matrix products with both weight layouts, alone and with bias, residual and activation.
#include "op_cases.h"
#include "reference/activation.h"
#include "reference/matmul.h"

namespace dllm::test {
namespace {

constexpr double TOLERANCE = 1.5e-6;  // of a plain float sum of thousands of products

struct MatmulShape {
    int64_t rows, in, out;
};

// No rows, one, odd, around the register tile, over a panel, over a block of the inner size, a chunk of rows, over one
// of rows or columns.
constexpr MatmulShape SHAPES[] = {{0, 3, 2},     {1, 1, 1},      {1, 7, 3},      {3, 1, 5},      {5, 33, 65},
                                  {64, 64, 64},  {63, 128, 192}, {129, 130, 67}, {257, 65, 130}, {2, 1000, 33},
                                  {256, 32, 64}, {1, 520, 515},  {300, 515, 40}, {600, 48, 17},  {100, 9, 4200}};
constexpr WeightLayout LAYOUTS[] = {WeightLayout::in_out, WeightLayout::out_in};

const char* layout_name(WeightLayout layout) { return layout == WeightLayout::in_out ? " in_out" : " out_in"; }

reference::Matrix<float> random_weight(Random& random, int64_t in, int64_t out, WeightLayout layout) {
    return layout == WeightLayout::in_out ? random.normal<float>(in, out) : random.normal<float>(out, in);
}

enum class Residual { none, separate, in_place };

void add_forward(OpCases& cases, MatmulShape shape, WeightLayout layout, bool with_bias, Residual residual_kind) {
    const auto [N, I, O] = shape;
    const char* residual_name[] = {"", " residual", " residual in place"};
    const std::string name = case_name("matmul_forward", {N, I, O}) + layout_name(layout) + (with_bias ? " bias" : "") +
                             residual_name[int(residual_kind)];
    const auto forward = [=](OpRun& run) {
        Operand& x = run.input("x", run.random.normal<float>(N, I));
        Operand& weight = run.input("weight", random_weight(run.random, I, O, layout));
        Operand& bias = with_bias ? run.input("bias", run.random.normal<float>(1, O)) : run.absent();
        Operand& out = residual_kind == Residual::in_place ? run.changed("out", run.random.normal<float>(N, O))
                                                           : run.written("out", N, O);
        Operand& residual = residual_kind == Residual::in_place ? out
                            : residual_kind == Residual::separate
                                ? run.input("residual", run.random.normal<float>(N, O))
                                : run.absent();
        run.backend.matmul_forward(out.tensor, x.tensor, weight.tensor, bias.tensor, residual.tensor, layout);
        run.twin([&] {
            reference::matmul_forward(out.twin, run.factor(x), run.factor(weight), bias.twin, residual.twin, layout);
        });
    };
    add_case(cases, name, TOLERANCE, forward, one_rounding(N * O));
}

void add_backward(OpCases& cases, MatmulShape shape, WeightLayout layout, bool with_bias) {
    const auto [N, I, O] = shape;
    add_case(cases, case_name("matmul_backward_weight", {N, I, O}) + layout_name(layout) + (with_bias ? " bias" : ""),
             TOLERANCE, [=](OpRun& run) {
                 Operand& x = run.input("x", run.random.normal<float>(N, I));
                 Operand& dout = run.input("dout", run.random.normal<float>(N, O));
                 Operand& dweight = run.changed_f32("dweight", random_weight(run.random, I, O, layout));
                 Operand& dbias = with_bias ? run.changed_f32("dbias", run.random.normal<float>(1, O)) : run.absent();
                 run.backend.matmul_backward_weight(dweight.tensor, dbias.tensor, x.tensor, dout.tensor, layout);
                 run.twin([&] {
                     reference::Matrix<double> no_bias;  // its gradient is a plain sum
                     reference::matmul_backward_weight(dweight.twin, no_bias, run.factor(x), run.factor(dout), layout);
                     reference::matmul_backward_bias(dbias.twin, dout.twin);
                 });
             });
    if (with_bias) return;
    const auto backward_input = [=](OpRun& run) {
        Operand& dout = run.input("dout", run.random.normal<float>(N, O));
        Operand& weight = run.input("weight", random_weight(run.random, I, O, layout));
        Operand& dx = run.written("dx", N, I);
        run.backend.matmul_backward_input(dx.tensor, dout.tensor, weight.tensor, layout);
        run.twin([&] { reference::matmul_backward_input(dx.twin, run.factor(dout), run.factor(weight), layout); });
    };
    add_case(cases, case_name("matmul_backward_input", {N, I, O}) + layout_name(layout), TOLERANCE, backward_input,
             one_rounding(N * I));
}

const char* activation_name(Activation kind) {
    const char* names[] = {"gelu", "silu", "swiglu"};
    return names[int(kind)];
}

// out is F wide; swiglu's product is twice as wide.
void add_fused(OpCases& cases, MatmulShape shape, Activation kind, WeightLayout layout, bool with_bias) {
    const auto [N, I, F] = shape;
    const int64_t O = kind == Activation::swiglu ? 2 * F : F;
    const std::string name = case_name("matmul_activation_forward", {N, I, F}) + layout_name(layout) + " " +
                             activation_name(kind) + (with_bias ? " bias" : "");
    const auto fused = [=](OpRun& run) {
        Operand& x = run.input("x", run.random.normal<float>(N, I));
        Operand& weight = run.input("weight", random_weight(run.random, I, O, layout));
        Operand& bias = with_bias ? run.input("bias", run.random.normal<float>(1, O)) : run.absent();
        Operand &out = run.written("out", N, F), &pre = run.written("pre", N, O);
        run.backend.matmul_activation_forward(out.tensor, pre.tensor, x.tensor, weight.tensor, bias.tensor, kind,
                                              layout);
        run.twin([&] {
            reference::matmul_activation_forward(out.twin, pre.twin, run.factor(x), run.factor(weight), bias.twin, kind,
                                                 layout);
        });
    };
    // A backend may round `pre` before the activation reads it (swiglu: two factors) and then `out`. Where an
    // activation is not small it changes by at most 1.3 times what its input does, relatively; roundings of 2^-8 are
    // rare.
    const double roundings = kind == Activation::swiglu ? 3 : 2;
    add_case(cases, name, 2 * TOLERANCE, fused, roundings * one_rounding(N * F));
}

void add_fused_backward(OpCases& cases, MatmulShape shape, Activation kind, WeightLayout layout) {
    const auto [N, F, O] = shape;
    const int64_t width = kind == Activation::swiglu ? 2 * F : F;
    const std::string name =
        case_name("matmul_activation_backward", {N, F, O}) + layout_name(layout) + " " + activation_name(kind);
    const auto fused = [=](OpRun& run) {
        Operand& dout = run.input("dout", run.random.normal<float>(N, O));
        Operand& weight = run.input("weight", random_weight(run.random, F, O, layout));
        Operand& pre = run.input("pre", run.random.normal<float>(N, width));
        Operand &dpre = run.written("dpre", N, width), &dhidden = run.working("dhidden", N, F);
        run.backend.matmul_activation_backward(dpre.tensor, dhidden.tensor, dout.tensor, weight.tensor, pre.tensor,
                                               kind, layout);
        run.twin([&] {
            reference::matmul_activation_backward(dpre.twin, run.factor(dout), run.factor(weight), pre.twin, kind,
                                                  layout);
        });
    };
    // A backend may round dhidden, and then dpre.
    add_case(cases, name, 2 * TOLERANCE, fused, 2 * one_rounding(N * F));
}

}  // namespace

void add_matmul_cases(OpCases& cases) {
    for (const MatmulShape shape : SHAPES) {
        for (const WeightLayout layout : LAYOUTS) {
            add_forward(cases, shape, layout, false, Residual::none);
            add_forward(cases, shape, layout, true, Residual::none);
            add_forward(cases, shape, layout, false, Residual::separate);
            add_forward(cases, shape, layout, true, Residual::in_place);
            add_backward(cases, shape, layout, false);
            add_backward(cases, shape, layout, true);
        }
    }
    for (const MatmulShape shape : {MatmulShape{1, 3, 1}, MatmulShape{7, 65, 33}, MatmulShape{130, 70, 129},
                                    MatmulShape{100, 600, 33}, MatmulShape{33, 40, 64}}) {
        for (const WeightLayout layout : LAYOUTS) {
            for (const Activation kind : {Activation::gelu, Activation::silu, Activation::swiglu}) {
                for (const bool with_bias : {false, true}) add_fused(cases, shape, kind, layout, with_bias);
                add_fused_backward(cases, {shape.rows, shape.out, shape.in}, kind, layout);
            }
        }
    }
}

}  // namespace dllm::test
