// WarpProducts: see warp_products.h. Fragments are those of the PTX ISA: lane = 4 g + t.
#include "warp_products.h"

#include "block.h"
#include "matrix_descriptor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <string>

namespace dllm::emulated {

namespace {

constexpr int ROWS = 16, DEPTH = 16;
constexpr unsigned POISON = 0xFFFFFFFF;  // NaN

float widen(uint16_t bits) { return std::bit_cast<float>(unsigned(bits) << 16); }

// The element that register i of a lane holds, of d.
int row_of(int lane, int i) { return lane / 4 + 8 * (i / 2); }
int column_of(int lane, int i) { return 2 * (lane % 4) + i % 2; }

// Elements that lie next to each other, 16 bytes: `major` counts along them.
constexpr int CHUNK = 8;
using Chunk = std::array<uint16_t, CHUNK>;

Chunk read_chunk(const MatrixDescriptor& matrix, bool k_major, int major, int other) {
    const Block& block = running_block();
    const size_t offset = matrix.offset(k_major, major, other);
    const std::byte* at = block.shared().begin() + offset;
    Chunk chunk;
    check_shared("wgmma", at, sizeof(chunk));
    if (!block.async_proxy().sees(block.shared(), at, sizeof(chunk)))
        fault("wgmma reads shared memory at offset " + std::to_string(offset) +
              ", which was written after the last barrier before which all threads fenced the async proxy");
    std::memcpy(chunk.data(), at, sizeof(chunk));
    return chunk;
}

MatrixDescriptor decode(uint64_t bits) {
    const MatrixDescriptor matrix(bits);
    if (const std::string problem = matrix.problem(); !problem.empty()) fault("wgmma: " + problem);
    return matrix;
}

}  // namespace

std::vector<uint16_t> WarpProducts::read_a(const Product& product) {
    std::vector<uint16_t> values(ROWS * DEPTH);
    if (product.call.a == nullptr) {
        const MatrixDescriptor matrix = decode(product.call.a_descriptor);
        for (int row = 0; row < ROWS; row++)
            for (int k = 0; k < DEPTH; k += CHUNK)
                std::ranges::copy(read_chunk(matrix, true, k, product.first_row + row), &values[row * DEPTH + k]);
        return values;
    }
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < 4; i++) {
            const int row = lane / 4 + 8 * (i % 2), k = 2 * (lane % 4) + 8 * (i / 2);
            values[row * DEPTH + k] = uint16_t(product.a[lane][i]);
            values[row * DEPTH + k + 1] = uint16_t(product.a[lane][i] >> 16);
        }
    return values;
}

std::vector<uint16_t> WarpProducts::read_b(const Product& product) {
    const MatrixDescriptor matrix = decode(product.call.b_descriptor);
    const int columns = 8 * product.call.tiles;
    std::vector<uint16_t> values(size_t(DEPTH * columns));
    if (product.call.b_is_k_major) {
        for (int column = 0; column < columns; column++)
            for (int k = 0; k < DEPTH; k += CHUNK) {
                const Chunk chunk = read_chunk(matrix, true, k, column);
                for (int i = 0; i < CHUNK; i++) values[(k + i) * columns + column] = chunk[i];
            }
    } else {
        for (int k = 0; k < DEPTH; k++)
            for (int column = 0; column < columns; column += CHUNK)
                std::ranges::copy(read_chunk(matrix, false, column, k), &values[k * columns + column]);
    }
    return values;
}

void WarpProducts::issue(const Lanes& lanes, int first_row) {
    Product product{lanes.at<LaneProduct>(0), {}, first_row, group_, nullptr, {}, {}};
    const auto [entry, is_new] = sums_.try_emplace(product.call.d);
    Sums& sums = entry->second;
    const int columns = 8 * product.call.tiles;
    if (!is_new && sums.tiles != product.call.tiles)
        fault("wgmma: sums of another product that is under way, of another shape");
    if (is_new) {
        sums.tiles = product.call.tiles;
        sums.products = 0;
        sums.values.resize(size_t(ROWS * columns));
    }
    for (int lane = 0; lane < LANES; lane++) {
        const LaneProduct& own = lanes.at<LaneProduct>(lane);
        product.a[lane] = own.a;
        sums.lanes[lane] = own.d;
        for (int i = 0; is_new && i < 4 * sums.tiles; i++) {
            const size_t at = size_t(row_of(lane, i % 4) * columns + 8 * (i / 4) + column_of(lane, i % 4));
            if (own.adds) sums.values[at] = own.d[i];
            own.d[i] = std::bit_cast<float>(POISON);
        }
    }
    sums.products++;
    product.sums = &sums;
    product.a_values = read_a(product);
    product.b_values = read_b(product);
    products_.push_back(std::move(product));
}

void WarpProducts::compute(const Product& product) {
    if (read_a(product) != product.a_values) fault("wgmma: its rows were overwritten before the wait for it");
    if (read_b(product) != product.b_values) fault("wgmma: its columns were overwritten before the wait for it");
    const int columns = 8 * product.call.tiles;
    for (int row = 0; row < ROWS; row++) {
        float* sums = product.sums->values.data() + row * columns;
        if (!product.call.adds) std::memset(sums, 0, size_t(columns) * sizeof(float));
        for (int k = 0; k < DEPTH; k++) {
            const float a = widen(product.a_values[size_t(row * DEPTH + k)]);
            const uint16_t* b = product.b_values.data() + k * columns;
            for (int column = 0; column < columns; column++) sums[column] += a * widen(b[column]);
        }
    }
}

void WarpProducts::finish(const Sums& sums) {
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < 4 * sums.tiles; i++) {
            if (std::bit_cast<unsigned>(sums.lanes[lane][i]) != POISON)
                fault("wgmma: its sums were written before the wait for it");
            const int at = row_of(lane, i % 4) * 8 * sums.tiles + 8 * (i / 4) + column_of(lane, i % 4);
            sums.lanes[lane][i] = sums.values[size_t(at)];
        }
}

bool WarpProducts::writes(int lane, const void* registers, size_t bytes) const {
    const auto first = reinterpret_cast<uintptr_t>(registers);
    for (const auto& [key, sums] : sums_) {
        const auto own = reinterpret_cast<uintptr_t>(sums.lanes[lane]);
        if (own < first + bytes && first < own + size_t(sums.tiles) * 4 * sizeof(float)) return true;
    }
    return false;
}

}  // namespace dllm::emulated
