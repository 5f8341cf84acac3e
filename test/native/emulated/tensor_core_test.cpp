// The matrix instructions, with matrices of distinct numbers so that no wrong index can hide.
#include <hardware.h>

#include "fixture.h"

namespace dllm::emulated {
namespace {

using namespace cuda;

constexpr int M = 16, N = 8, K = 16;

// One warp; a (16, 16) and b (16, 8) row by row, d (16, 8) += a b. `swapped` plants a fault: two registers of a.
__global__ void multiply_kernel(float* d, const float* a, const float* b, bool swapped) {
    const int g = lane_id() / 4, t = lane_id() % 4;
    const auto pair_of_a = [&](int row, int column) { return pack_bf16(a[row * K + column], a[row * K + column + 1]); };
    const auto pair_of_b = [&](int row, int column) {
        return pack_bf16(b[row * N + column], b[(row + 1) * N + column]);
    };
    unsigned ra[4] = {pair_of_a(g, 2 * t), pair_of_a(g + 8, 2 * t), pair_of_a(g, 2 * t + 8),
                      pair_of_a(g + 8, 2 * t + 8)};
    const unsigned rb[2] = {pair_of_b(2 * t, g), pair_of_b(2 * t + 8, g)};
    if (swapped) {
        const unsigned kept = ra[1];
        ra[1] = ra[2];
        ra[2] = kept;
    }
    float rd[4] = {d[g * N + 2 * t], d[g * N + 2 * t + 1], d[(g + 8) * N + 2 * t], d[(g + 8) * N + 2 * t + 1]};
    mma_bf16_16x8x16(rd, ra, rb);
    d[g * N + 2 * t] = rd[0];
    d[g * N + 2 * t + 1] = rd[1];
    d[(g + 8) * N + 2 * t] = rd[2];
    d[(g + 8) * N + 2 * t + 1] = rd[3];
}

struct Matrices {
    std::vector<float> a = std::vector<float>(M * K), b = std::vector<float>(K * N), d = std::vector<float>(M * N);
    std::vector<float> expected;

    Matrices() {
        for (int i = 0; i < M * K; i++) a[size_t(i)] = float(i) - 100;  // at most 8 significant bits: exact in bf16
        for (int i = 0; i < K * N; i++) b[size_t(i)] = float(3 * i % 127) - 60;
        for (int i = 0; i < M * N; i++) d[size_t(i)] = float(1000 * i);
        expected = d;
        for (int m = 0; m < M; m++) {
            for (int n = 0; n < N; n++) {
                for (int k = 0; k < K; k++) expected[size_t(m * N + n)] += a[size_t(m * K + k)] * b[size_t(k * N + n)];
            }
        }
    }

    std::vector<float> multiply(bool swapped) const {
        DeviceArray<float> da(a), db(b), dd(d);
        succeed(launch(multiply_kernel, 1, WARP_SIZE, 0, nullptr, dd.data(), da.data(), db.data(), swapped));
        return dd.download();
    }
};

TEST(emulated_mma_follows_the_fragment_layout) {
    const FreshDevice fresh;
    const Matrices matrices;
    for (const auto& result : in_every_order([&] { return matrices.multiply(false); })) {
        check_equal(result, matrices.expected, "product");
    }
    CHECK(matrices.multiply(true) != matrices.expected);
}

constexpr int ROW_ELEMENTS = 24;  // of shared memory: matrices lie in rows wider than themselves

// Fills shared memory with numbers and loads 8 x 8 matrices from it: out[lane][i] for both instructions.
__global__ void load_kernel(unsigned* out) {
    auto* shared = shared_memory<unsigned short>();
    for (int i = lane_id(); i < 32 * ROW_ELEMENTS; i += WARP_SIZE) shared[i] = static_cast<unsigned short>(i);
    sync_warp();
    const unsigned short* row = shared + lane_id() * ROW_ELEMENTS + 8;
    unsigned x4[4], x4_trans[4];
    ldmatrix_x4(x4, row);
    ldmatrix_x4_trans(x4_trans, row);
    for (int i = 0; i < 4; i++) {
        out[lane_id() * 8 + i] = x4[i];
        out[lane_id() * 8 + 4 + i] = x4_trans[i];
    }
}

TEST(emulated_ldmatrix_follows_the_fragment_layout) {
    const FreshDevice fresh;
    // Row `row` of matrix i starts at element (8 i + row) ROW_ELEMENTS + 8 and holds its own indices.
    const auto element = [](int matrix, int row, int column) {
        return unsigned((8 * matrix + row) * ROW_ELEMENTS + 8 + column);
    };
    const auto results = in_every_order([] {
        DeviceArray<unsigned> out(WARP_SIZE * 8);
        succeed(launch(load_kernel, 1, WARP_SIZE, 32 * ROW_ELEMENTS * sizeof(short), nullptr, out.data()));
        return out.download();
    });
    for (const std::vector<unsigned>& result : results) {
        for (int lane = 0; lane < WARP_SIZE; lane++) {
            const unsigned* own = &result[size_t(lane * 8)];
            const int g = lane / 4, t = lane % 4;
            for (int i = 0; i < 4; i++) {
                const unsigned straight = element(i, g, 2 * t) | element(i, g, 2 * t + 1) << 16;
                const unsigned transposed = element(i, 2 * t, g) | element(i, 2 * t + 1, g) << 16;
                check_equal(own[i], straight, "x4");
                check_equal(own[4 + i], transposed, "x4 trans");
            }
        }
    }
}

// a (16, 16) and b (16, 8) as bf16 in shared memory, loaded by ldmatrix: a as it lies, b transposed.
__global__ void load_and_multiply_kernel(float* d, const float* a, const float* b) {
    auto* shared_a = shared_memory<__nv_bfloat16>();
    auto* shared_b = shared_a + M * K;
    for (int i = lane_id(); i < M * K; i += WARP_SIZE) shared_a[i] = __float2bfloat16_rn(a[i]);
    for (int i = lane_id(); i < K * N; i += WARP_SIZE) shared_b[i] = __float2bfloat16_rn(b[i]);
    sync_warp();
    unsigned ra[4], rb_twice[4];
    ldmatrix_x4(ra, shared_a + lane_id() % 16 * K + lane_id() / 16 * 8);
    ldmatrix_x4_trans(rb_twice, shared_b + lane_id() % 16 * N);
    const unsigned rb[2] = {rb_twice[0], rb_twice[1]};
    const int g = lane_id() / 4, t = lane_id() % 4;
    float rd[4] = {};
    mma_bf16_16x8x16(rd, ra, rb);
    for (int i = 0; i < 4; i++) d[(g + i / 2 * 8) * N + 2 * t + i % 2] += rd[i];
}

TEST(emulated_ldmatrix_feeds_mma) {
    const FreshDevice fresh;
    const Matrices matrices;
    DeviceArray<float> a(matrices.a), b(matrices.b), d(matrices.d);
    const size_t shared = (M * K + K * N) * sizeof(__nv_bfloat16);
    succeed(launch(load_and_multiply_kernel, 1, WARP_SIZE, shared, nullptr, d.data(), a.data(), b.data()));
    check_equal(d.download(), matrices.expected, "product");
}

__global__ void misaligned_row_kernel() {
    unsigned r[4];
    ldmatrix_x4(r, shared_memory<char>() + lane_id() * 16 + (lane_id() == 9 ? 8 : 0));
}

TEST(emulated_ldmatrix_refuses_a_misaligned_row) {
    const FreshDevice fresh;
    check_throws([] { succeed(launch(misaligned_row_kernel, 1, 32, 1024, nullptr)); },
                 "thread (9, 0, 0): ldmatrix_x4: an address in shared memory that is not a multiple of 16");
}

}  // namespace
}  // namespace dllm::emulated
