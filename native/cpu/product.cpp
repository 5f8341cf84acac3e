// Runs a matrix product: depth in blocks, the operands packed, the output shared out as a grid.
#include "product.h"

#include "../ceil_div.h"
#include "../thread_pool.h"
#include "check.h"
#include "scratch.h"

#include <algorithm>

namespace dllm {

namespace {

constexpr int64_t ROWS_PER_UNIT = 192;       // of a: they stay in cache while the panels pass
constexpr int64_t COLUMNS_PER_CHUNK = 4096;  // packed at a time: bounds the scratch memory
constexpr int64_t UNITS_PER_THREAD = 4;      // enough for the threads to finish together
constexpr int64_t ROWS_PER_SUM = 256;        // so that a long column is not one long chain of roundings

struct Range {
    int64_t begin, count;
};

// Part `index` of `parts` of `count` things, `granule` of them always together.
Range part_of(int64_t count, int64_t granule, int64_t index, int64_t parts) {
    const int64_t granules = ceil_div(count, granule);
    const int64_t begin = granules * index / parts * granule;
    return {begin, std::min(count, granules * (index + 1) / parts * granule) - begin};
}

Operand shifted(const Operand& x, int64_t rows, int64_t columns) {
    return {x.data + rows * x.row_stride + columns * x.column_stride, x.row_stride, x.column_stride};
}

class Run {
public:
    Run(const Kernels& kernels, const ProductKernels& products, const Product& product)
        : kernels_(kernels), products_(products), p_(product),
          packs_rows_(product.a.column_stride != 1 || !products.reads_rows_in_place),
          block_words_(words_of(std::min(products.depth_block, product.depth))) {}

    // Few rows: each group packs its own columns, and none is packed twice.
    void by_columns(int64_t wanted_groups) const {
        const int64_t M = p_.out.rows, N = p_.out.cols, panel = products_.panel_columns;
        const int64_t groups = std::min(wanted_groups, ceil_div(N, panel));
        const bool share_rows = packs_rows_ && groups > 1;
        const int64_t own_tiles = packs_rows_ && !share_rows ? tiles_size(M) : 0;
        float* shared_tiles = share_rows ? scratch(ScratchUse::shared, tiles_size(M)) : nullptr;
        // rows that all groups need are packed for one block of the depth at a time
        const int64_t span = share_rows ? products_.depth_block : p_.depth;
        for (int64_t start = 0; start < p_.depth; start += span) {
            const Range whole{start, std::min(span, p_.depth - start)};
            if (share_rows) {
                parallel_for(row_tiles(M), [&](int64_t tile) {
                    pack_rows(shared_tiles, {0, M}, whole, tile, tile + 1);
                });
            }
            parallel_for(groups, [&](int64_t group) {
                const Range columns = part_of(N, panel, group, groups);
                float* packed = scratch(ScratchUse::own, block_words_ * panel + own_tiles);
                for (int64_t first = whole.begin; first < whole.begin + whole.count; first += products_.depth_block) {
                    const Range depth{first, std::min(products_.depth_block, p_.depth - first)};
                    float* tiles = share_rows ? shared_tiles : own_tiles > 0 ? packed + block_words_ * panel : nullptr;
                    if (own_tiles > 0) pack_rows(tiles, {0, M}, depth, 0, row_tiles(M));
                    for (int64_t column = columns.begin; column < columns.begin + columns.count; column += panel) {
                        const Range part{column, std::min(panel, columns.begin + columns.count - column)};
                        pack_panels(packed, part, depth);
                        multiply({0, M}, part, depth, tiles, packed);
                    }
                }
            });
        }
    }

    // Many rows: a chunk of the columns is packed once for all, then shared out as a grid of row units and panel
    // groups.
    void by_grid(int64_t row_units, int64_t wanted_groups) const {
        const int64_t M = p_.out.rows, N = p_.out.cols, panel = products_.panel_columns;
        const int64_t chunk_panels = ceil_div(std::min(N, COLUMNS_PER_CHUNK), panel);
        const bool share_rows = packs_rows_ && std::min(wanted_groups, chunk_panels) > 1;
        const int64_t unit_tiles =
            packs_rows_ ? tiles_size(ceil_div(row_tiles(M), row_units) * products_.tile_rows) : 0;
        float* packed = scratch(ScratchUse::shared,
                                block_words_ * chunk_panels * panel + (share_rows ? row_units * unit_tiles : 0));
        float* shared_tiles = packed + block_words_ * chunk_panels * panel;
        for (int64_t chunk = 0; chunk < N; chunk += COLUMNS_PER_CHUNK) {
            const int64_t chunk_columns = std::min(COLUMNS_PER_CHUNK, N - chunk),
                          panels = ceil_div(chunk_columns, panel);
            const int64_t groups = std::min(wanted_groups, panels);
            const int64_t column_parts = std::min(
                panels, std::max(groups > 1 ? row_units * groups : 1, ceil_div(chunk_columns, COLUMNS_PER_PART)));
            for (int64_t first = 0; first < p_.depth; first += products_.depth_block) {
                const Range depth{first, std::min(products_.depth_block, p_.depth - first)};
                const int64_t words = words_of(depth.count);
                const int64_t row_parts = share_rows ? row_units * PARTS_PER_UNIT : 0;
                parallel_for(column_parts + row_parts, [&](int64_t index) {
                    if (index < column_parts) {
                        const Range columns = part_of(chunk_columns, panel, index, column_parts);
                        pack_panels(packed + columns.begin * words, {chunk + columns.begin, columns.count}, depth);
                    } else {
                        const int64_t row_part = index - column_parts;
                        const int64_t unit = row_part / PARTS_PER_UNIT, part = row_part % PARTS_PER_UNIT;
                        const Range rows = part_of(M, products_.tile_rows, unit, row_units);
                        const Range tiles = part_of(row_tiles(rows.count), 1, part, PARTS_PER_UNIT);
                        pack_rows(shared_tiles + unit * unit_tiles, rows, depth, tiles.begin,
                                  tiles.begin + tiles.count);
                    }
                });
                parallel_for(row_units * groups, [&](int64_t index) {
                    const int64_t unit = index / groups;
                    const Range rows = part_of(M, products_.tile_rows, unit, row_units);
                    const Range columns = part_of(chunk_columns, panel, index % groups, groups);
                    float* tiles = share_rows    ? shared_tiles + unit * unit_tiles
                                   : packs_rows_ ? scratch(ScratchUse::own, unit_tiles)
                                                 : nullptr;
                    if (packs_rows_ && !share_rows) pack_rows(tiles, rows, depth, 0, row_tiles(rows.count));
                    multiply(rows, {chunk + columns.begin, columns.count}, depth, tiles,
                             packed + columns.begin * words);
                });
            }
        }
    }

private:
    static constexpr int64_t PARTS_PER_UNIT = 4;      // the rows of a unit are packed by several threads
    static constexpr int64_t COLUMNS_PER_PART = 256;  // packed together: enough to read memory in long runs

    int64_t words_of(int64_t depth) const {
        return ceil_div(depth, products_.depth_multiple) * products_.depth_multiple / products_.elements_per_word;
    }
    int64_t row_tiles(int64_t rows) const { return ceil_div(rows, products_.tile_rows); }
    int64_t tiles_size(int64_t rows) const { return row_tiles(rows) * products_.tile_rows * block_words_; }

    // Tiles `first` ... `last - 1` of these rows of a.
    void pack_rows(float* tiles, Range rows, Range depth, int64_t first, int64_t last) const {
        products_.pack_rows(tiles, shifted(p_.a, rows.begin, depth.begin), rows.count, depth.count, first, last);
    }

    // These columns of b; their sums while they are in cache.
    void pack_panels(float* packed, Range columns, Range depth) const {
        const Operand b = shifted(p_.b, depth.begin, columns.begin);
        products_.pack_panels(packed, b, depth.count, columns.count);
        if (!p_.column_sums) return;
        add_column_sums(kernels_, p_.column_sums.f32() + columns.begin, {b.data, b.row_stride}, depth.count,
                        columns.count);
    }

    // One part of the output and one block of the depth, whose first and last treat out apart.
    void multiply(Range rows, Range columns, Range depth, const float* tiles, const float* panels) const {
        const auto part = [&](const Tensor& x) {
            return x.slice_rows(rows.begin, rows.count).slice_cols(columns.begin, columns.count);
        };
        ProductBlock block{};
        block.out = rows_of(part(p_.out));
        block.a = shifted(p_.a, rows.begin, depth.begin);
        block.row_tiles = tiles;
        block.panels = panels;
        block.rows = rows.count;
        block.columns = columns.count;
        block.depth = depth.count;
        if (depth.begin > 0 || p_.accumulate) {
            block.addend = const_rows_of(part(p_.out));
        } else if (p_.residual) {
            block.addend = const_rows_of(part(p_.residual));
        }
        if (depth.begin + depth.count == p_.depth) {
            if (p_.bias) block.bias = p_.bias.f32() + columns.begin;
            if (p_.activation != nullptr) {
                block.activation = p_.activation;
                block.activated = rows_of(part(p_.activated));
            }
        }
        products_.product(block);
    }

    const Kernels& kernels_;
    const ProductKernels& products_;
    const Product& p_;
    const bool packs_rows_;
    const int64_t block_words_;  // of a column of b, or a row of a, in one block of the depth
};

}  // namespace

void add_column_sums(const Kernels& kernels, float* out, ConstRows x, int64_t rows, int64_t columns) {
    for (int64_t row = 0; row < rows; row += ROWS_PER_SUM)
        kernels.column_sums(out, {x.data + row * x.stride, x.stride}, std::min(ROWS_PER_SUM, rows - row), columns);
}

void run_product(const Kernels& kernels, const ProductKernels& products, const Product& product) {
    if (product.out.count() == 0) return;
    const Run run(kernels, products, product);
    const int64_t row_units = ceil_div(product.out.rows, ROWS_PER_UNIT);
    const int64_t units = thread_limit() == 1 ? 1 : thread_limit() * UNITS_PER_THREAD;
    const int64_t wanted_groups = ceil_div(units, row_units);
    if (row_units == 1) {
        run.by_columns(wanted_groups);
    } else {
        run.by_grid(row_units, wanted_groups);
    }
}

}  // namespace dllm
