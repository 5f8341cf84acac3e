// Finite differences through the double twins of every differentiable op except attention.
#include "gradient_check.h"
#include "reference/activation.h"
#include "reference/embedding.h"
#include "reference/loss.h"
#include "reference/matmul.h"
#include "reference/norm.h"
#include "reference/query_key.h"

#include <array>

namespace dllm {
namespace {

using namespace reference;
using namespace test;

std::string shape_name(const char* op, std::initializer_list<int64_t> sizes) {
    std::string name = op;
    for (const int64_t size : sizes) name += " " + std::to_string(size);
    return name;
}

struct RowShape {
    int64_t rows, cols;
};

// One, odd, just over a tile of 64, several tiles.
constexpr std::array ROW_SHAPES = {RowShape{3, 1},   RowShape{1, 2},   RowShape{3, 7},
                                   RowShape{5, 33},  RowShape{65, 8},  RowShape{2, 65},
                                   RowShape{4, 129}, RowShape{130, 3}, RowShape{7, 300}};
constexpr std::array LAYOUTS = {WeightLayout::in_out, WeightLayout::out_in};

constexpr double EPS = 1e-5;

TEST(embedding_gradient) {
    for (const auto [N, C] : ROW_SHAPES) {
        for (const bool with_positions : {true, false}) {
            Random random(1);
            const int32_t V = 5, P = int32_t(N) + 2;
            const auto tokens = random.integers(N, V), positions = random.integers(N, P);
            DoubleMatrix token_table = random.normal<double>(V, C), position_table, out(N, C);
            if (with_positions) position_table = random.normal<double>(P, C);
            const DoubleMatrix dout = random.normal<double>(N, C);
            GradientCheck check(shape_name("embedding", {N, C}), [&] {
                embedding_forward(out, tokens, positions, token_table, position_table);
                return dot(out, dout);
            });
            Accumulator dtoken_table(random, V, C), dposition_table(random, position_table.rows, C);
            embedding_backward(dtoken_table.value, dposition_table.value, dout, tokens, positions);
            check("token_table", token_table, dtoken_table.added());
            if (with_positions) check("position_table", position_table, dposition_table.added());
        }
    }
}

TEST(layer_norm_gradient) {
    for (const auto [N, C] : ROW_SHAPES) {
        for (const bool with_bias : {true, false}) {
            Random random(2);
            DoubleMatrix x = random.normal<double>(N, C, 2, 0.5), weight = random.normal<double>(1, C), bias;
            if (with_bias) bias = random.normal<double>(1, C);
            DoubleMatrix out(N, C), mean(1, N), rstd(1, N);
            const DoubleMatrix dout = random.normal<double>(N, C);
            const auto loss = [&] {
                layer_norm_forward(out, mean, rstd, x, weight, bias, 0.1);
                return dot(out, dout);
            };
            loss();
            Accumulator dx(random, N, C), dweight(random, 1, C), dbias(random, bias.rows, C);
            layer_norm_backward(dx.value, dweight.value, dbias.value, dout, x, weight, mean, rstd);
            GradientCheck check(shape_name("layer_norm", {N, C}), loss);
            check("x", x, dx.added());
            check("weight", weight, dweight.added());
            if (with_bias) check("bias", bias, dbias.added());
        }
    }
}

TEST(rms_norm_gradient) {
    for (const auto [N, C] : ROW_SHAPES) {
        Random random(3);
        DoubleMatrix x = random.normal<double>(N, C, 2), weight = random.normal<double>(1, C);
        DoubleMatrix out(N, C), rstd(1, N);
        const DoubleMatrix dout = random.normal<double>(N, C);
        const auto loss = [&] {
            rms_norm_forward(out, rstd, x, weight, 0.1);
            return dot(out, dout);
        };
        loss();
        Accumulator dx(random, N, C), dweight(random, 1, C);
        rms_norm_backward(dx.value, dweight.value, dout, x, weight, rstd);
        GradientCheck check(shape_name("rms_norm", {N, C}), loss);
        check("x", x, dx.added());
        check("weight", weight, dweight.added());
    }
}

TEST(matmul_gradient) {
    struct Shape {
        int64_t rows, in, out;
    };
    for (const auto [N, I, O] : {Shape{1, 1, 1}, Shape{1, 7, 3}, Shape{5, 1, 9}, Shape{3, 65, 2}, Shape{65, 5, 33},
                                 Shape{4, 130, 65}, Shape{129, 3, 7}}) {
        for (const WeightLayout layout : LAYOUTS) {
            Random random(4);
            const bool in_out = layout == WeightLayout::in_out;
            DoubleMatrix x = random.normal<double>(N, I), bias = random.normal<double>(1, O), out(N, O), dx(N, I);
            DoubleMatrix weight = random.normal<double>(in_out ? I : O, in_out ? O : I);
            DoubleMatrix residual = random.normal<double>(N, O);
            const DoubleMatrix dout = random.normal<double>(N, O);
            Accumulator dweight(random, weight.rows, weight.cols), dbias(random, 1, O);
            matmul_backward_input(dx, dout, weight, layout);
            matmul_backward_weight(dweight.value, dbias.value, x, dout, layout);
            GradientCheck check(shape_name(in_out ? "matmul in_out" : "matmul out_in", {N, I, O}), [&] {
                matmul_forward(out, x, weight, bias, residual, layout);
                return dot(out, dout);
            });
            check("x", x, dx);
            check("weight", weight, dweight.added());
            check("bias", bias, dbias.added());
            check("residual", residual, dout);
        }
    }
}

TEST(activation_gradient) {
    for (const Activation kind : {Activation::gelu, Activation::silu, Activation::swiglu}) {
        for (const auto [N, F] : ROW_SHAPES) {
            Random random(5);
            DoubleMatrix x = random.normal<double>(N, kind == Activation::swiglu ? 2 * F : F, 2), out(N, F);
            const DoubleMatrix dout = random.normal<double>(N, F);
            DoubleMatrix dx(x.rows, x.cols, NAN);
            activation_backward(dx, dout, x, kind);
            GradientCheck check(shape_name("activation", {int64_t(kind), N, F}), [&] {
                activation_forward(out, x, kind);
                return dot(out, dout);
            });
            check("x", x, dx);
        }
    }
}

TEST(query_key_gradient) {
    struct Shape {
        int64_t rows, heads, kv_heads, head_width;
    };
    for (const auto [N, H, G, D] : {Shape{1, 1, 1, 2}, Shape{3, 2, 2, 4}, Shape{5, 4, 2, 6}, Shape{65, 3, 1, 8},
                                    Shape{2, 2, 1, 34}, Shape{3, 1, 1, 66}, Shape{2, 6, 2, 128}}) {
        for (const int flags : {0, 1, 2, 3}) {
            const HeadShape shape{H, G, D, (flags & 1) != 0, 0.1f, (flags & 2) != 0};
            Random random(6);
            DoubleMatrix x = random.normal<double>(N, (H + 2 * G) * D, 1.5), qkv, rstd(N, H + G);
            const DoubleMatrix table = rotary_table<double>(17, D, 10000), dout = random.normal<double>(x.rows, x.cols);
            const auto positions = random.integers(N, 17);
            const auto loss = [&] {
                qkv = x;
                query_key_forward(qkv, rstd, positions, table, shape);
                return dot(qkv, dout);
            };
            loss();
            DoubleMatrix dqkv = dout;
            query_key_backward(dqkv, qkv, rstd, positions, table, shape);
            GradientCheck check(shape_name("query_key", {flags, N, H, G, D}), loss);
            check("qkv", x, dqkv);
        }
    }
}

TEST(rows_gradient) {
    for (const auto [M, C] : ROW_SHAPES) {
        Random random(7);
        const int32_t N = int32_t(2 * M + 1);
        DoubleMatrix x = random.normal<double>(N, C), out(M, C);
        const DoubleMatrix dout = random.normal<double>(M, C);
        const auto rows = random.distinct(M, N);
        Accumulator dx(random, N, C);
        scatter_rows(dx.value, dout, rows);
        GradientCheck check(shape_name("rows", {M, C}), [&] {
            gather_rows(out, x, rows);
            return dot(out, dout);
        });
        check("x", x, dx.added());
    }
}

TEST(cross_entropy_gradient) {
    for (const auto [M, V] : ROW_SHAPES) {
        Random random(8);
        DoubleMatrix logits = random.normal<double>(M, V, 2), weights = random.normal<double>(1, M);
        if (M > 2) weights(0, 1) = 0;
        const auto targets = random.integers(M, int32_t(V));
        DoubleMatrix dlogits = logits, ignored(1, 1);
        cross_entropy(ignored, dlogits, targets, weights);
        GradientCheck check(shape_name("cross_entropy", {M, V}), [&] {
            DoubleMatrix loss(1, 1), scratch = logits;
            cross_entropy(loss, scratch, targets, weights);
            return loss(0, 0);
        });
        check("logits", logits, dlogits);
    }
}

}  // namespace
}  // namespace dllm
