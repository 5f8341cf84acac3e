// Matrix products: depth in blocks, the second operand packed into panels, the output shared out as a grid.
#include "backend.h"
#include "check.h"
#include "scratch.h"
#include "thread_pool.h"

#include <algorithm>

namespace dllm {

namespace {

// Fixed, because it decides where an element's sum is cut: never to depend on threads or on the number of rows.
constexpr int64_t DEPTH_BLOCK = 512;
constexpr int64_t ROWS_PER_UNIT = 192;       // of a: they stay in cache while the panels pass
constexpr int64_t COLUMNS_PER_CHUNK = 4096;  // packed at a time: bounds the scratch memory
constexpr int64_t UNITS_PER_THREAD = 4;      // enough for the threads to finish together
constexpr int64_t ROWS_PER_SUM = 256;        // so that a long column is not one long chain of roundings

// out = a b + addend + bias, or out += a b
struct Product {
    Tensor out;
    Operand a;
    Operand b;
    int64_t depth;
    Tensor residual;
    Tensor bias;
    bool accumulate = false;
    RowsForward activation = nullptr;
    Tensor activated;
    Tensor column_sums;  // += the sums of b's columns, b natural
};

Operand natural(const Tensor& x) { return {x.f32(), x.stride, 1}; }
Operand transposed(const Tensor& x) { return {x.f32(), 1, x.stride}; }

Operand shifted(const Operand& x, int64_t rows, int64_t columns) {
    return {x.data + rows * x.row_stride + columns * x.column_stride, x.row_stride, x.column_stride};
}

// The kernel's arguments for one part of the output and one block of the depth, whose first and last treat out apart.
ProductBlock block_of(const Product& p, int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t first,
                      int64_t depth) {
    const auto part = [&](const Tensor& x) { return x.slice_rows(row, rows).slice_cols(column, columns); };
    ProductBlock block{};
    block.out = rows_of(part(p.out));
    block.a = shifted(p.a, row, first);
    block.rows = rows;
    block.columns = columns;
    block.depth = depth;
    if (first > 0 || p.accumulate) {
        block.addend = const_rows_of(part(p.out));
    } else if (p.residual) {
        block.addend = const_rows_of(part(p.residual));
    }
    if (first + depth == p.depth) {
        if (p.bias) block.bias = p.bias.f32() + column;
        if (p.activation != nullptr) {
            block.activation = p.activation;
            block.activated = rows_of(part(p.activated));
        }
    }
    return block;
}

// Floats for the row tiles of a product whose rows are columns in memory; 0 for others, whose rows are read in place.
int64_t row_tiles_size(const Kernels& kernels, const Product& p, int64_t rows) {
    return p.a.column_stride == 1 ? 0 : (rows + kernels.tile_rows) * DEPTH_BLOCK;
}

// The rows of `block` as tiles in `tiles`, or null where they are read in place.
const float* pack_rows(const Kernels& kernels, const ProductBlock& block, float* tiles) {
    if (block.a.column_stride == 1) return nullptr;
    kernels.pack_rows(tiles, block.a, block.rows, block.depth);
    return tiles;
}

// out (columns) += column sums of x (rows, columns)
void add_column_sums(const Kernels& kernels, float* out, ConstRows x, int64_t rows, int64_t columns) {
    for (int64_t row = 0; row < rows; row += ROWS_PER_SUM)
        kernels.column_sums(out, {x.data + row * x.stride, x.stride}, std::min(ROWS_PER_SUM, rows - row), columns);
}

// The panel of b's columns from `column`, for `depth` rows from `first`; its sums while it is in cache.
void pack_panel(const Kernels& kernels, const Product& p, float* packed, int64_t first, int64_t depth, int64_t column,
                int64_t columns) {
    const Operand b = shifted(p.b, first, column);
    kernels.pack(packed, b, depth, columns);
    if (p.column_sums) add_column_sums(kernels, p.column_sums.f32() + column, {b.data, b.row_stride}, depth, columns);
}

// Few rows: each unit packs its own columns, and none is packed twice.
void run_by_columns(const Kernels& kernels, const Product& p, int64_t wanted_units) {
    const int64_t M = p.out.rows, N = p.out.cols, panel = kernels.panel_columns;
    const int64_t panels = ceil_div(N, panel), groups = std::min(wanted_units, panels);
    parallel_for(groups, [&](int64_t group) {
        const int64_t begin = panels * group / groups * panel;
        const int64_t end = std::min(N, panels * (group + 1) / groups * panel);
        float* packed = scratch(ScratchUse::own, DEPTH_BLOCK * panel + row_tiles_size(kernels, p, M));
        for (int64_t first = 0; first < p.depth; first += DEPTH_BLOCK) {
            const int64_t depth = std::min(DEPTH_BLOCK, p.depth - first);
            const float* tiles =
                pack_rows(kernels, block_of(p, 0, M, begin, end - begin, first, depth), packed + DEPTH_BLOCK * panel);
            for (int64_t column = begin; column < end; column += panel) {
                const int64_t columns = std::min(panel, end - column);
                pack_panel(kernels, p, packed, first, depth, column, columns);
                ProductBlock block = block_of(p, 0, M, column, columns, first, depth);
                block.panels = packed;
                block.row_tiles = tiles;
                kernels.product(block);
            }
        }
    });
}

// Many rows: a chunk of the columns is packed once for all, then shared out as a grid of row units and panel groups.
void run_by_grid(const Kernels& kernels, const Product& p, int64_t row_units, int64_t wanted_groups) {
    const int64_t M = p.out.rows, N = p.out.cols, panel = kernels.panel_columns;
    const int64_t widest_chunk = ceil_div(std::min(N, COLUMNS_PER_CHUNK), panel) * panel;
    float* packed = scratch(ScratchUse::shared, DEPTH_BLOCK * widest_chunk);
    for (int64_t chunk = 0; chunk < N; chunk += COLUMNS_PER_CHUNK) {
        const int64_t chunk_columns = std::min(COLUMNS_PER_CHUNK, N - chunk);
        const int64_t panels = ceil_div(chunk_columns, panel), groups = std::min(wanted_groups, panels);
        for (int64_t first = 0; first < p.depth; first += DEPTH_BLOCK) {
            const int64_t depth = std::min(DEPTH_BLOCK, p.depth - first);
            parallel_for(panels, [&](int64_t index) {
                const int64_t column = index * panel;
                pack_panel(kernels, p, packed + column * depth, first, depth, chunk + column,
                           std::min(panel, chunk_columns - column));
            });
            parallel_for(row_units * groups, [&](int64_t index) {
                const int64_t unit = index / groups, group = index % groups;
                const int64_t row = M * unit / row_units, rows = M * (unit + 1) / row_units - row;
                const int64_t column = panels * group / groups * panel;
                const int64_t end = std::min(chunk_columns, panels * (group + 1) / groups * panel);
                ProductBlock block = block_of(p, row, rows, chunk + column, end - column, first, depth);
                block.panels = packed + column * depth;
                block.row_tiles = pack_rows(kernels, block, scratch(ScratchUse::own, row_tiles_size(kernels, p, rows)));
                kernels.product(block);
            });
        }
    }
}

void run(const Kernels& kernels, const Product& p) {
    if (p.out.count() == 0) return;
    const int64_t row_units = ceil_div(p.out.rows, ROWS_PER_UNIT);
    const int64_t units = thread_limit() == 1 ? 1 : thread_limit() * UNITS_PER_THREAD;
    const int64_t wanted_groups = ceil_div(units, row_units);
    if (row_units == 1) {
        run_by_columns(kernels, p, wanted_groups);
    } else {
        run_by_grid(kernels, p, row_units, wanted_groups);
    }
}

void check_forward(const OpCheck& check, const Tensor& out, const Tensor& x, const Tensor& weight, const Tensor& bias,
                   WeightLayout layout) {
    const int64_t N = x.rows, I = x.cols, O = out.cols;
    check.shape("out", out, N, O);
    check.shape("x", x, N, I);
    if (layout == WeightLayout::in_out) {
        check.shape("weight", weight, I, O);
    } else {
        check.shape("weight", weight, O, I);
    }
    check.optional_shape("bias", bias, 1, O);
}

Product forward_product(const Tensor& out, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        WeightLayout layout) {
    Product product{};
    product.out = out;
    product.a = natural(x);
    product.b = layout == WeightLayout::in_out ? natural(weight) : transposed(weight);
    product.depth = x.cols;
    product.bias = bias;
    return product;
}

}  // namespace

void CpuBackend::matmul_forward(Tensor out, Tensor x, Tensor weight, Tensor bias, Tensor residual,
                                WeightLayout layout) {
    const OpCheck check("matmul_forward");
    check_forward(check, out, x, weight, bias, layout);
    check.optional_shape("residual", residual, out.rows, out.cols);
    Product product = forward_product(out, x, weight, bias, layout);
    product.residual = residual;
    run(kernels_, product);
}

void CpuBackend::matmul_activation_forward(Tensor out, Tensor pre, Tensor x, Tensor weight, Tensor bias,
                                           Activation kind, WeightLayout layout) {
    if (kind == Activation::swiglu) {  // its gate and up columns finish at different times
        Backend::matmul_activation_forward(out, pre, x, weight, bias, kind, layout);
        return;
    }
    const OpCheck check("matmul_activation_forward");
    check_forward(check, pre, x, weight, bias, layout);
    check.shape("out", out, pre.rows, pre.cols);
    Product product = forward_product(pre, x, weight, bias, layout);
    product.activation = kernels_.activation_forward[int(kind)];
    product.activated = out;
    run(kernels_, product);
}

void CpuBackend::matmul_backward_input(Tensor dx, Tensor dout, Tensor weight, WeightLayout layout) {
    check_forward(OpCheck("matmul_backward_input"), dout, dx, weight, {}, layout);
    Product product{};
    product.out = dx;
    product.a = natural(dout);
    product.b = layout == WeightLayout::in_out ? transposed(weight) : natural(weight);
    product.depth = dout.cols;
    run(kernels_, product);
}

void CpuBackend::matmul_backward_weight(Tensor dweight, Tensor dbias, Tensor x, Tensor dout, WeightLayout layout) {
    check_forward(OpCheck("matmul_backward_weight"), dout, x, dweight, dbias, layout);
    const bool in_out = layout == WeightLayout::in_out;
    Product product{};
    product.out = dweight;
    product.a = transposed(in_out ? x : dout);
    product.b = natural(in_out ? dout : x);
    product.depth = x.rows;
    product.accumulate = true;
    if (in_out) product.column_sums = dbias;
    run(kernels_, product);
    if (dbias && !in_out) {
        constexpr int64_t COLUMNS_PER_UNIT = 64;
        parallel_ranges(dout.cols, COLUMNS_PER_UNIT, [&](int64_t begin, int64_t end) {
            add_column_sums(kernels_, dbias.f32() + begin, const_rows_of(dout.slice_cols(begin, end - begin)),
                            dout.rows, end - begin);
        });
    }
}

}  // namespace dllm
