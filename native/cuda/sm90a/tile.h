// Tiles of bfloat16 rows in shared memory as wgmma reads them, and the descriptors by which it finds them.
//
// A tile lies in panels of 64 rows of 128 bytes, 64 columns each, at multiples of 1024 bytes. Within a panel the
// 16-byte column c of row r is at column c ^ r % 8: the 128-byte swizzle. (PTX ISA, matrix descriptor; canonical
// layouts
// ((8,m),(T,2k)):((8T,SBO),(1,T)) of K-major and ((T,8,m),(8,k)):((1,T,LBO),(8T,SBO)) of MN-major matrices, T: 16
// bytes.)
#pragma once

#include "../attention_fragments.h"

#include <warpgroup.h>

namespace dllm::cuda::sm90a {

constexpr int PANEL_COLUMNS = 64, ROW_BYTES = 128, PANEL_BYTES = MAP_TILE * ROW_BYTES;
constexpr int PANEL_ELEMENTS = MAP_TILE * PANEL_COLUMNS;
template <int WIDTH>
constexpr int SWIZZLED_ELEMENTS = MAP_TILE * WIDTH;  // of a tile

// Starts copying the first `rows` of a tile's rows; what lies beyond them, and beyond the head's width, becomes zeros.
// The caller waits for the copies, fences the async proxy, and then waits for the block.
template <int WIDTH, int THREADS>
__device__ void load_swizzled(bfloat16* tile, Rows<const bfloat16> from, int rows, const AttentionTask& task) {
    constexpr int LANES = ROW_BYTES / 16, PASS = THREADS / LANES;  // threads that share a row; rows at once
    static_assert(PASS % 8 == 0);
    const int first = int(threadIdx.x) / LANES, lane = int(threadIdx.x) % LANES, column = lane * PACK<bfloat16>;
    const bfloat16* source = from.data + (first * int(from.stride) + column);
    bfloat16* target = tile + first * PANEL_COLUMNS + (lane ^ first % 8) * PACK<bfloat16>;
#pragma unroll
    for (int i = 0; i < MAP_TILE / PASS; i++) {
#pragma unroll
        for (int panel = 0; panel < WIDTH / PANEL_COLUMNS; panel++)
            cp_async_16(target + i * PASS * PANEL_COLUMNS + panel * PANEL_ELEMENTS, source + panel * PANEL_COLUMNS,
                        first + i * PASS < rows && column + panel * PANEL_COLUMNS < task.width);
        source += int(from.stride) * PASS;
    }
}

// Waits for this thread's copies, and until matrix products of the block may read those of all threads.
__device__ __forceinline__ void wait_for_tiles() {
    cp_async_wait<0>();
    fence_async_proxy();
    sync_threads();
}

// 16 rows of a tile as row operand of a warp.
template <int WIDTH>
__device__ void load_swizzled_rows(unsigned (&rows)[WIDTH / 16][4], const bfloat16* tile, int first_row) {
    const int lane = int(threadIdx.x) % WARP_SIZE, row = first_row + lane % 16;
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++) {
        const int chunk = 2 * k + lane / 16;  // of 16 bytes, in the row
        ldmatrix_x4(rows[k], tile + chunk / 8 * PANEL_ELEMENTS + row * PANEL_COLUMNS + (chunk % 8 ^ row % 8) * 8);
    }
}

// What a product reads from a tile, from a row on that is a multiple of 8: as K-major operand 16 columns of its rows,
// as MN-major operand 16 rows. Bits 0-13: address, 16-29: leading byte offset, from a panel to the next (MN-major; of a
// swizzled K-major matrix not used and 1), 32-45: stride byte offset, from 8 rows to the next 8, all in units of 16
// bytes; 49-51: base offset, 0 where patterns begin at multiples of 1024 bytes; 62-63: swizzle.
template <Major MAJOR>
__device__ __forceinline__ uint64_t descriptor_of(const bfloat16* tile) {
    constexpr uint64_t SWIZZLE_128_BYTES = uint64_t(1) << 62, STRIDE = 8 * ROW_BYTES / 16;
    constexpr uint64_t LEADING = MAJOR == Major::mn ? PANEL_BYTES / 16 : 1;
    return SWIZZLE_128_BYTES | STRIDE << 32 | LEADING << 16 | (shared_address(tile) & 0x3FFFF) >> 4;
}

// The k-th step of 16 along a tile's columns (K-major), and along its rows (MN-major). The swizzle goes by the bits of
// addresses, so a step within a pattern is a sum.
constexpr uint64_t column_step(int k) { return uint64_t(k / 4 * PANEL_BYTES + k % 4 * 32) / 16; }
constexpr uint64_t row_step(int k) { return uint64_t(k * 16 * ROW_BYTES) / 16; }

// sums (64, 8 TILES) = rows (64, WIDTH) tile^T, for the first 8 TILES rows of the tile; rows in registers.
template <int WIDTH, int TILES>
__device__ void issue_dot_products(float (&sums)[TILES][4], const unsigned (&rows)[WIDTH / 16][4],
                                   const bfloat16* tile) {
    const uint64_t columns = descriptor_of<Major::k>(tile);
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++) wgmma_bf16<Major::k>(sums, rows[k], columns + column_step(k), k > 0);
}

// The same with the rows of another tile.
template <int WIDTH, int TILES>
__device__ void issue_dot_products(float (&sums)[TILES][4], const bfloat16* row_tile, const bfloat16* tile) {
    const uint64_t rows = descriptor_of<Major::k>(row_tile), columns = descriptor_of<Major::k>(tile);
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++)
        wgmma_bf16<Major::k>(sums, rows + column_step(k), columns + column_step(k), k > 0);
}

// sums (64, WIDTH) += weights (64, 16 DEPTH) tile, for the first 16 DEPTH rows of the tile
template <int WIDTH, int DEPTH>
__device__ void issue_weighted_rows(float (&sums)[WIDTH / 8][4], const unsigned (&weights)[DEPTH][4],
                                    const bfloat16* tile) {
    const uint64_t rows = descriptor_of<Major::mn>(tile);
#pragma unroll
    for (int k = 0; k < DEPTH; k++) wgmma_bf16<Major::mn>(sums, weights[k], rows + row_step(k), true);
}

// Waits for all products of the warpgroup. No branch stands between their issue and this wait, nor any access to their
// registers: ptxas would wait after each single one, and say so (C7510, C7515, C7519).
__device__ __forceinline__ void finish_products() {
    wgmma_commit();
    wgmma_wait<0>();
}

}  // namespace dllm::cuda::sm90a
