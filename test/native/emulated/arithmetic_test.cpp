// Numbers: rounding to bf16 against its definition, the approximate functions, atomic counters.
#include <hardware.h>

#include "fixture.h"

#include <bit>
#include <cmath>
#include <limits>

namespace dllm::emulated {
namespace {

using namespace cuda;

// The nearest bf16 by comparing both neighbours, the even one if they are as near.
unsigned short nearest_bf16(float x) {
    const unsigned bits = std::bit_cast<unsigned>(x);
    const auto below = static_cast<unsigned short>(bits >> 16);
    const auto above = static_cast<unsigned short>(below + 1);
    const double low = double(std::bit_cast<float>(unsigned(below) << 16));
    // Past the largest finite number comes 2^128, where infinity stands.
    const bool overflows = (above & 0x7FFF) == 0x7F80;
    const double high =
        overflows ? std::copysign(0x1p128, double(x)) : double(std::bit_cast<float>(unsigned(above) << 16));
    const double to_low = std::abs(double(x) - low), to_high = std::abs(high - double(x));
    if (to_low != to_high) return to_low < to_high ? below : above;
    return below % 2 == 0 ? below : above;
}

TEST(emulated_bf16_rounds_to_nearest_even) {
    for (uint64_t bits = 0; bits < uint64_t(1) << 32; bits += 4093) {  // coprime to the tie at 0x8000
        for (const unsigned low : {unsigned(bits) & 0xFFFFu, 0x7FFFu, 0x8000u, 0x8001u}) {
            const float x = std::bit_cast<float>((unsigned(bits) & 0xFFFF0000u) | low);
            const __nv_bfloat16 rounded = __float2bfloat16_rn(x);
            if (std::isnan(x)) {
                CHECK(std::isnan(__bfloat162float(rounded)));
            } else if (std::isinf(x)) {
                check_equal(__bfloat162float(rounded), x, "infinity");
            } else if (__bfloat16_as_ushort(rounded) != nearest_bf16(x)) {
                check_equal(__bfloat16_as_ushort(rounded), nearest_bf16(x), test::join("bf16 of ", x));
            }
        }
    }
}

TEST(emulated_bf16_pairs) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(1.5f, -2.0f);
    check_equal(__low2float(pair), 1.5f, "low");
    check_equal(__high2float(pair), -2.0f, "high");
    check_equal(__bfloat162float(__high2bfloat16(pair)), -2.0f, "high half");
    check_equal(__bfloat1622float2(__halves2bfloat162(pair.y, pair.x)).x, -2.0f, "halves");
    check_equal(__bfloat16_as_ushort(__low2bfloat16(pair)), 0x3FC0, "bits");
    check_equal(std::bit_cast<unsigned>(pair), pack_bf16(1.5f, -2.0f), "packed");
    check_equal(unpack_bf16(pack_bf16(1.5f, -2.0f)).y, -2.0f, "unpacked");
    check_equal(__bfloat162float(__ushort_as_bfloat16(0x3FC0)), 1.5f, "from bits");
}

TEST(emulated_approximate_functions) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    check_equal(fast_exp2(3.0f), 8.0f, "2^3");
    check_equal(fast_exp2(-infinity), 0.0f, "2^-inf");
    check_equal(fast_exp2(-127.5f), 0.0f, "subnormal result");
    CHECK(std::isnan(fast_exp2(NAN)));
    check_equal(fast_reciprocal(4.0f), 0.25f, "1/4");
    check_equal(fast_reciprocal(-1e-40f), -infinity, "subnormal argument");
    check_equal(max(NAN, 1.0f), 1.0f, "a number wins against NaN");
    check_equal(min(int64_t(-3), int64_t(2)), int64_t(-3), "min");
    check_equal(__popc(0xF0u) + __ffs(8) + __clz(1), 4 + 4 + 31, "bits");
}

__global__ void count_kernel(int* count, int* total, int* places) {
    places[atomic_add(count, 1)] = int(threadIdx.x);
    atomic_add(total, int(threadIdx.x));
}

TEST(emulated_atomic_counters) {
    DeviceArray<int> count(std::vector<int>{0}), total(std::vector<int>{0}), places(256);
    succeed(launch(count_kernel, 2, 128, 0, nullptr, count.data(), total.data(), places.data()));
    check_equal(count.download()[0], 256, "count");
    check_equal(total.download()[0], 2 * 127 * 64, "total");
    for (const int place : places.download()) CHECK(place >= 0 && place < 128);
}

}  // namespace
}  // namespace dllm::emulated
