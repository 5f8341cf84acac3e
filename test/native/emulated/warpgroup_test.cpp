// The matrix instructions of a warpgroup, with matrices of distinct numbers so that no wrong index can hide, and what a
// kernel may do wrong with them.
#include <hardware.h>
#include <warpgroup.h>

#include "hopper.h"

namespace dllm::emulated {
namespace {

using namespace cuda;

constexpr int THREADS = 128, M = 64, K = 16;
constexpr int ROW = 64;   // elements of 128 bytes: a row of the swizzle's pattern
constexpr int ROWS = 64;  // of a panel
constexpr int PANEL = ROWS * ROW;

enum class Mistake {
    none,
    copies_unfenced,
    fenced_before_the_wait_for_copies,
    no_barrier_after_the_fence,
    sums_unfenced,
    rows_changed_after_the_fence,
    rows_changed_before_the_wait,
    sums_changed_before_the_wait,
    columns_overwritten_before_the_wait,
    sums_fenced_before_the_wait,
    no_commit,
    no_wait,
    other_descriptor_in_one_warp,
    one_warp_without,
    wrong_leading_offset,
    unswizzled,
};

// The layouts of the PTX ISA for the 128-byte swizzle, written out: panels of 64 elements (128 bytes) in 64 rows.
__device__ int swizzled(int row, int column) {
    return column / ROW * PANEL + row * ROW + (column % ROW / 8 ^ row % 8) * 8 + column % 8;
}

__device__ uint64_t descriptor(const void* shared, int leading_bytes) {
    return uint64_t(shared_address(shared)) >> 4 | uint64_t(leading_bytes >> 4) << 16 | uint64_t(1024 >> 4) << 32 |
           uint64_t(1) << 62;
}

// d (64, N) = first + a (64, 16) b, twice over. b of k-major: the columns 16 ... 31 of x (N, 32), transposed; of
// mn-major: the rows 16 ... 31 of x (32, N). a from registers, or the columns 16 ... 31 of a tile of shared memory.
template <Major B, int TILES, bool A_IN_SHARED>
__global__ void multiply_kernel(float* d, const __nv_bfloat16* a, const __nv_bfloat16* x, float first,
                                Mistake mistake) {
    constexpr int N = 8 * TILES, X_ROWS = B == Major::k ? N : 32, X_COLUMNS = B == Major::k ? 32 : N;
    auto* tile = shared_tiles<__nv_bfloat16>();
    auto* a_tile = tile + 2 * PANEL;
    const int thread = int(threadIdx.x), g = lane_id() / 4, t = lane_id() % 4;
    const bool plain = mistake == Mistake::unswizzled;
    for (int i = thread; i < X_ROWS * X_COLUMNS / 8; i += THREADS) {
        const int row = i / (X_COLUMNS / 8), column = i % (X_COLUMNS / 8) * 8;
        cp_async_16(tile + (plain ? row * ROW + column : swizzled(row, column)), x + 8 * i);
    }
    for (int i = thread; A_IN_SHARED && i < M * K; i += THREADS) a_tile[swizzled(i / K, 16 + i % K)] = a[i];
    cp_async_commit();
    if (mistake == Mistake::fenced_before_the_wait_for_copies) fence_async_proxy();
    cp_async_wait<0>();
    if (mistake == Mistake::no_barrier_after_the_fence) sync_threads();
    if (mistake != Mistake::copies_unfenced && mistake != Mistake::fenced_before_the_wait_for_copies)
        fence_async_proxy();
    if (mistake != Mistake::no_barrier_after_the_fence) sync_threads();

    unsigned rows[4];
    float sums[TILES][4];
    for (int i = 0; i < 4; i++) {
        const auto* from = a + (16 * warp_id() + g + 8 * (i % 2)) * K + 2 * t + 8 * (i / 2);
        rows[i] = pack_bf16(__bfloat162float(from[0]), __bfloat162float(from[1]));
    }
    for (auto& tile_sums : sums)
        for (float& sum : tile_sums) sum = first;
    uint64_t b = descriptor(tile, mistake == Mistake::wrong_leading_offset ? 1024 : PANEL * 2);
    b += B == Major::k ? 32 >> 4 : 16 * 128 >> 4;
    const uint64_t a_shared = descriptor(a_tile, 16) + (32 >> 4);
    if (mistake == Mistake::other_descriptor_in_one_warp && warp_id() == 2) b += 1;
    if (mistake == Mistake::sums_unfenced) {
        wgmma_fence_operands(rows);
    } else {
        wgmma_fence_operands(rows, sums);
    }
    wgmma_fence();
    if (mistake == Mistake::rows_changed_after_the_fence) rows[1] ^= 1;
    if (mistake != Mistake::one_warp_without || warp_id() != 3) {
        for (int i = 0; i < 2; i++) {
            if constexpr (A_IN_SHARED) {
                wgmma_bf16<B>(sums, a_shared, b, first != 0 || i > 0);
            } else {
                wgmma_bf16<B>(sums, rows, b, first != 0 || i > 0);
            }
        }
    }
    if (mistake != Mistake::no_commit) wgmma_commit();
    if (mistake == Mistake::rows_changed_before_the_wait) rows[1] ^= 1;
    if (mistake == Mistake::sums_changed_before_the_wait) sums[1][1] = 0;
    if (mistake == Mistake::columns_overwritten_before_the_wait) cp_async_16(tile + thread * ROW, x);
    if (mistake == Mistake::sums_fenced_before_the_wait) wgmma_fence_operands(sums);
    if (mistake == Mistake::no_wait) return;
    wgmma_wait<0>();
    wgmma_fence_operands(rows, sums);
    for (int n = 0; n < TILES; n++)
        for (int i = 0; i < 4; i++) d[(16 * warp_id() + g + 8 * (i / 2)) * N + 8 * n + 2 * t + i % 2] = sums[n][i];
}

std::vector<__nv_bfloat16> rounded(const std::vector<float>& values) {
    std::vector<__nv_bfloat16> result;
    for (const float value : values) result.push_back(__float2bfloat16_rn(value));
    return result;
}

template <Major B, int TILES, bool A_IN_SHARED = false>
std::vector<float> multiply(float first, Mistake mistake = Mistake::none) {
    constexpr int N = 8 * TILES;
    std::vector<float> a(M * K), x(32 * N);
    for (size_t i = 0; i < a.size(); i++) a[i] = float(5 * i % 255) - 100;  // at most 8 bits: exact in bf16
    for (size_t i = 0; i < x.size(); i++) x[i] = float(3 * i % 251) - 60;
    const DeviceArray<__nv_bfloat16> da(rounded(a)), dx(rounded(x));
    const DeviceArray<float> dd(std::vector<float>(M * N, -1));
    succeed(launch(multiply_kernel<B, TILES, A_IN_SHARED>, 1, THREADS, 3 * PANEL * 2, nullptr, dd.data(), da.data(),
                   dx.data(), first, mistake));
    return dd.download();
}

template <Major B, int TILES, bool A_IN_SHARED = false>
void check_product() {
    constexpr int N = 8 * TILES;
    const Hopper device;
    for (const float first : {0.0f, 3.0f}) {
        std::vector<float> expected(M * N, first);
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++)
                for (int k = 0; k < K; k++) {
                    const int x = B == Major::k ? n * 32 + 16 + k : (16 + k) * N + n;
                    expected[size_t(m * N + n)] += 2 * (float(5 * (m * K + k) % 255) - 100) * (float(3 * x % 251) - 60);
                }
        for (const auto& result : in_every_order([&] { return multiply<B, TILES, A_IN_SHARED>(first); }))
            check_equal(result, expected, "product");
    }
}

TEST(emulated_wgmma_follows_the_layouts) {
    check_product<Major::k, 4>();
    check_product<Major::k, 8>();
    check_product<Major::mn, 8>();
    check_product<Major::mn, 16>();
    check_product<Major::k, 4, true>();
}

TEST(emulated_wgmma_by_a_wrong_descriptor_gives_other_sums) {
    const Hopper device;
    const auto right = multiply<Major::mn, 16>(1);
    CHECK((multiply<Major::mn, 16>(1, Mistake::wrong_leading_offset) != right));
    CHECK((multiply<Major::mn, 8>(1, Mistake::unswizzled) != multiply<Major::mn, 8>(1)));
    CHECK(right == (multiply<Major::mn, 16>(1)));
}

TEST(emulated_wgmma_needs_a_fence_of_the_async_proxy) {
    const Hopper device;
    for (const Mistake mistake :
         {Mistake::copies_unfenced, Mistake::fenced_before_the_wait_for_copies, Mistake::no_barrier_after_the_fence})
        check_throws([=] { multiply<Major::k, 8>(0, mistake); },
                     "which was written after the last barrier before which all threads fenced the async proxy");
}

TEST(emulated_wgmma_needs_fenced_registers) {
    const Hopper device;
    check_throws([] { multiply<Major::k, 8>(0, Mistake::sums_unfenced); },
                 "wgmma: sums that have changed since they were fenced");
    check_throws([] { multiply<Major::k, 8>(0, Mistake::rows_changed_after_the_fence); },
                 "wgmma: rows that have changed since they were fenced");
}

TEST(emulated_wgmma_runs_until_its_wait) {
    const Hopper device;
    const auto faults = [](Mistake mistake, const char* what) {
        check_throws([=] { multiply<Major::k, 8>(0, mistake); }, what);
    };
    faults(Mistake::rows_changed_before_the_wait, "wgmma: its rows were overwritten before the wait for it");
    faults(Mistake::sums_changed_before_the_wait, "wgmma: its sums were written before the wait for it");
    faults(Mistake::columns_overwritten_before_the_wait, "wgmma reads shared memory at offset");
    faults(Mistake::sums_fenced_before_the_wait, "wgmma_fence_operands of sums that a product is still to write");
    faults(Mistake::no_commit, "wgmma_fence_operands of sums that a product is still to write");
    faults(Mistake::no_wait, "warp 0 ended with a wgmma that it did not wait for");
}

TEST(emulated_wgmma_is_a_call_of_the_whole_warpgroup) {
    const Hopper device;
    check_throws([] { multiply<Major::k, 8>(0, Mistake::other_descriptor_in_one_warp); },
                 "wgmma: the warps of a warpgroup pass different descriptors");
    check_throws([] { multiply<Major::k, 8>(0, Mistake::one_warp_without); },
                 "wgmma_commit where another warp of its warpgroup calls wgmma_bf16");
}

TEST(emulated_wgmma_needs_a_hopper) {
    const FreshDevice device;
    check_throws([] { multiply<Major::k, 8>(0); }, "on a device that is not of compute capability 9.0");
}

}  // namespace
}  // namespace dllm::emulated
