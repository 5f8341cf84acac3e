// Op cases: activations on ordinary, huge, vanishing and far negative inputs.
#include "op_cases.h"
#include "reference/activation.h"

namespace dllm::test {
namespace {

struct Inputs {
    const char* name;
    std::vector<float> values;  // repeated over the matrix; empty: normal with this scale
    double scale;
    double tolerance;
};

const std::vector<Inputs> INPUTS = {
    {"normal", {}, 3, 1e-6},
    {"large", {50, -50, 1e4f, -1e4f, 88.8f, -88.8f, 104, -104, 3e3f, -3e3f, 20, -20}, 1, 1e-6},
    // swiglu multiplies two of these: a denormal product has fewer digits.
    {"small", {0.0f, -0.0f, 1e-40f, -1e-40f, 1e-45f, 1e-30f, -1e-30f, 1e-20f, -1e-20f}, 1, 1e-5},
    // Where 1 + tanh(u) cancels; the exponent's own rounding, about 20 * 2^-24, remains.
    {"tail", {-3, -3.5f, -4, -4.25f, -5}, 1, 3e-6},
    {"far tail", {-5, -5.3f, -5.7f, -6}, 1, 5e-6},
};

reference::Matrix<float> matrix_of(OpRun& run, const Inputs& inputs, int64_t rows, int64_t cols) {
    if (inputs.values.empty()) return run.random.normal<float>(rows, cols, inputs.scale);
    reference::Matrix<float> matrix(rows, cols);
    for (size_t i = 0; i < matrix.data.size(); i++) matrix.data[i] = inputs.values[i % inputs.values.size()];
    return matrix;
}

void add_activation(OpCases& cases, Activation kind, const Inputs& inputs, int64_t N, int64_t F) {
    const int64_t width = kind == Activation::swiglu ? 2 * F : F;
    const char* kind_name[] = {" gelu ", " silu ", " swiglu "};
    // All products of two small inputs round to the smallest bfloat16 or to zero.
    const bool vanishing = kind == Activation::swiglu && inputs.name == std::string("small");
    const auto forward_backward = [=](OpRun& run) {
        Operand& x = run.input("x", matrix_of(run, inputs, N, width));
        Operand& dout = run.input("dout", run.random.normal<float>(N, F));
        Operand &out = run.written("out", N, F), &dx = run.written("dx", N, width);
        run.backend.activation_forward(out.tensor, x.tensor, kind);
        run.backend.activation_backward(dx.tensor, dout.tensor, x.tensor, kind);
        run.twin([&] {
            reference::activation_forward(out.twin, x.twin, kind);
            reference::activation_backward(dx.twin, dout.twin, x.twin, kind);
        });
    };
    add_case(cases, case_name("activation", {N, F}) + kind_name[int(kind)] + inputs.name, inputs.tolerance,
             forward_backward, vanishing ? 1 : one_rounding(N * F));
}

}  // namespace

void add_activation_cases(OpCases& cases) {
    for (const Activation kind : {Activation::gelu, Activation::silu, Activation::swiglu}) {
        for (const Inputs& inputs : INPUTS) add_activation(cases, kind, inputs, 3, 37);
        for (const auto& [N, F] : {std::pair<int64_t, int64_t>{1, 1}, {5, 64}, {65, 7}, {300, 257}}) {
            add_activation(cases, kind, INPUTS.front(), N, F);
        }
    }
}

}  // namespace dllm::test
