// Products in bfloat16 by Intel's matrix tiles (AMX): 32 x 32 elements of the output at a time, in 2 x 2 tiles.
#include "../simd/matmul.h"
#include "avx512.h"
#include "bfloat16_pack.h"

namespace dllm {

namespace {

constexpr int64_t TILE = 16;           // rows, and words of a row, of every tile
constexpr int64_t PANEL = 2 * TILE;    // columns
constexpr int64_t CHUNK = 32 * PANEL;  // columns that 32 rows of a pass before the next: long runs of the output's rows
constexpr int64_t WORD = sizeof(float);  // bytes

struct alignas(64) TileConfig {
    uint8_t palette = 1, start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {TILE, TILE, TILE, TILE, TILE, TILE, TILE, TILE};
};
constexpr TileConfig CONFIG;

// sums (32, 32) = a b. Tiles 0 to 3 are the sums, 4 and 5 rows of a, 6 and 7 columns of b.
template <int ROW_TILES, int COLUMN_TILES>
[[gnu::always_inline]] inline void multiply(float* sums, const simd::TileArguments& arguments) {
    constexpr int64_t WIDTH = COLUMN_TILES * TILE;
    const int64_t words = arguments.depth;
    const float *a = arguments.a.data, *b = arguments.panel;
    _tile_zero(0);
    if constexpr (COLUMN_TILES == 2) _tile_zero(1);
    if constexpr (ROW_TILES == 2) _tile_zero(2);
    if constexpr (ROW_TILES == 2 && COLUMN_TILES == 2) _tile_zero(3);
    for (int64_t k = 0; k < words; k += TILE) {
        _tile_loadd(6, b + k * WIDTH, WIDTH * WORD);
        _tile_loadd(4, a + k, words * WORD);
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (COLUMN_TILES == 2) {
            _tile_loadd(7, b + k * WIDTH + TILE, WIDTH * WORD);
            _tile_dpbf16ps(1, 4, 7);
        }
        if constexpr (ROW_TILES == 2) {
            _tile_loadd(5, a + TILE * words + k, words * WORD);
            _tile_dpbf16ps(2, 5, 6);
        }
        if constexpr (ROW_TILES == 2 && COLUMN_TILES == 2) _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, PANEL * WORD);
    if constexpr (COLUMN_TILES == 2) _tile_stored(1, sums + TILE, PANEL * WORD);
    if constexpr (ROW_TILES == 2) _tile_stored(2, sums + TILE * PANEL, PANEL * WORD);
    if constexpr (ROW_TILES == 2 && COLUMN_TILES == 2) _tile_stored(3, sums + TILE * PANEL + TILE, PANEL * WORD);
}

// out (rows, COLUMN_TILES vectors) = a panel + addend + bias, for at most 32 rows
template <int COLUMN_TILES>
void multiply_tiles(simd::TileArguments arguments, int64_t rows) {
    alignas(64) float sums[PANEL * PANEL];
    if (rows > TILE) {
        multiply<2, COLUMN_TILES>(sums, arguments);
    } else {
        multiply<1, COLUMN_TILES>(sums, arguments);
    }
    for (int64_t row = 0; row < rows; row++) {
        Avx512::Float vectors[1][COLUMN_TILES];
        for (int v = 0; v < COLUMN_TILES; v++) vectors[0][v] = simd::load<Avx512>(sums + row * PANEL + v * TILE);
        simd::finish_tile<Avx512, 1, COLUMN_TILES>(vectors, arguments);
        arguments.out.data += arguments.out.stride;
        if (arguments.addend.data != nullptr) arguments.addend.data += arguments.addend.stride;
    }
}

void product(const ProductBlock& block) {
    const int64_t words = words_of(block.depth);
    _tile_loadconfig(&CONFIG);
    for (int64_t chunk = 0; chunk < block.columns; chunk += CHUNK) {
        const int64_t end = smaller_of(block.columns, chunk + CHUNK);
        for (int64_t row = 0; row < block.rows; row += ROWS_PER_TILE) {
            const int64_t rows = smaller_of(ROWS_PER_TILE, block.rows - row);
            for (int64_t begin = chunk; begin < end; begin += PANEL) {
                const int64_t columns = smaller_of(PANEL, end - begin);
                simd::TileArguments arguments{};
                arguments.out = {block.out.data + row * block.out.stride + begin, block.out.stride};
                arguments.a = {block.row_tiles + row * words, words, 1};
                arguments.panel = block.panels + begin * words;
                arguments.depth = words;
                if (block.addend.data != nullptr)
                    arguments.addend = {block.addend.data + row * block.addend.stride + begin, block.addend.stride};
                if (block.bias != nullptr) arguments.bias = block.bias + begin;
                arguments.last_lanes = int(columns > TILE ? columns - TILE : columns);
                if (columns > TILE) {
                    multiply_tiles<2>(arguments, rows);
                } else {
                    multiply_tiles<1>(arguments, rows);
                }
            }
            simd::activate(block, row, rows, chunk, end - chunk);
        }
    }
    _tile_release();
}

}  // namespace

extern const ProductKernels AMX_PRODUCTS;
constinit const ProductKernels AMX_PRODUCTS = {
    "amx", 512, DEPTH_MULTIPLE, 2, PANEL, pack_panels<PANEL>, ROWS_PER_TILE, pack_rows, false, product};

}  // namespace dllm
