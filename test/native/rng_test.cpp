// Philox against its published answers, and the logarithm and Gumbel noise that every backend must share bit for bit.
#include "rng.h"
#include "test.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace dllm {
namespace {

void check_words(const PhiloxBlock& actual, const PhiloxBlock& expected, const char* what) {
    for (int i = 0; i < 4; i++) check_equal(actual.words[i], expected.words[i], what);
}

// The known-answer vectors of the Random123 library.
TEST(philox_known_answers) {
    constexpr uint32_t ONES = 0xffffffff;
    check_words(philox({{0, 0}}, {{0, 0, 0, 0}}), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}, "zeros");
    check_words(philox({{ONES, ONES}}, {{ONES, ONES, ONES, ONES}}), {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
                "ones");
    check_words(philox({{0xa4093822, 0x299f31d0}}, {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}),
                {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}, "pi");
}

// Saved trainers and published samples depend on these draws. The first key is splitmix64's published first output.
TEST(random_bits_are_pinned) {
    const auto check_key = [](uint64_t seed, uint64_t sample, uint32_t low, uint32_t high) {
        const PhiloxKey key = philox_key(seed, sample);
        check_equal(key.words[0], low, "low word");
        check_equal(key.words[1], high, "high word");
    };
    constexpr uint64_t LARGEST = std::numeric_limits<uint64_t>::max();
    check_key(0, 0, 0x7b1dcdaf, 0xe220a839);
    check_key(1, 0, 0x89025cc1, 0x910a2dec);
    check_key(0, 1, 0xa1b965f4, 0x6e789e6a);
    check_key(1234, 5, 0x8c72a511, 0xb0bfb29e);
    check_key(LARGEST, LARGEST, 0xf2cbbd7b, 0xb4d055fc);

    const PhiloxKey key = philox_key(42, 7);
    check_equal(random_bits(philox_key(0, 0), Stream::init, 0, 0, 0), 0xa9e39636u, "first draw");
    check_equal(random_bits(key, Stream::token_noise, 3, 11, 1002), 0xa3fc7573u, "element 1002");
    check_equal(random_bits(key, Stream::token_noise, 3, 11, 1003), 0x007df103u, "element 1003");
    check_equal(random_bits(key, Stream::token_noise, 3, 11, 1004), 0x03ea1b6fu, "element 1004");
    check_equal(random_bits(key, Stream::annealed, 3, 11, 1004), 0x1cc04095u, "another stream");
}

const std::vector<uint32_t> EXTREME_BITS = {0,          1,          2,          3,          0x7fffffff, 0x80000000,
                                            0x80000001, 0xffffff00, 0xffffff7f, 0xffffff80, 0xfffffffe, 0xffffffff};

TEST(uniform_stays_in_range) {
    check_equal(uniform(0), 0.0, "lowest");
    check_equal(uniform(0xffffffff), 1 - 0x1p-32, "highest");
    for (const uint32_t bits : EXTREME_BITS) CHECK(open_uniform(bits) > 0 && open_uniform(bits) < 1);
    check_equal(open_uniform(0), 0x1p-33f, "lowest of the open interval");
    double sum = 0, square_sum = 0;
    constexpr int COUNT = 200'000;
    for (uint32_t i = 0; i < COUNT; i++) {
        const double value = uniform(random_bits(philox_key(3, 0), Stream::time, 0, 0, i));
        CHECK(value >= 0 && value < 1);
        sum += value;
        square_sum += value * value;
    }
    check_close(sum / COUNT, 0.5, 3e-3, "mean");
    check_close(square_sum / COUNT, 1.0 / 3, 3e-3, "mean square");
}

double log_error(float x) {
    const double expected = std::log(double(x));
    const double error = std::abs(double(portable_log(x)) - expected);
    return expected == 0 ? error : error / std::abs(expected);
}

TEST(portable_log_relative_error) {
    double largest = 0;
    float at = 1;
    const auto visit = [&](uint32_t bits) {
        const float x = std::bit_cast<float>(bits);
        const double error = log_error(x);
        if (error > largest) {
            largest = error;
            at = x;
        }
    };
    constexpr uint32_t SMALLEST_NORMAL = 0x00800000, INFINITE = 0x7f800000, ONE = 0x3f800000;
    constexpr uint32_t STRIDE = 1009;  // a prime, so that every mantissa pattern comes up
    for (uint32_t bits = SMALLEST_NORMAL; bits < INFINITE; bits += STRIDE) visit(bits);
    for (uint32_t bits = ONE - 200'000; bits < ONE + 200'000; bits++) visit(bits);
    for (uint32_t bits : {SMALLEST_NORMAL, INFINITE - 1, 0x3f3504f2u, 0x3f3504f3u, 0x3fb504f3u, 0x3fb504f4u})
        visit(bits);
    if (!(largest < 3e-7)) {
        throw test::Failure{test::join("relative error ", largest, " at ", at), std::source_location::current()};
    }
    check_equal(portable_log(1.0f), 0.0f, "log 1");
}

// The exact formula on the float that stands for the bits.
double exact_gumbel(uint32_t bits) { return -std::log(-std::log1p(-double(open_uniform(bits)))); }

TEST(gumbel_equals_the_formula) {
    const auto check_bits = [](uint32_t bits) {
        check_close(gumbel(bits), exact_gumbel(bits), 1e-6, "bits " + std::to_string(bits));
    };
    for (const uint32_t bits : EXTREME_BITS) check_bits(bits);
    for (uint32_t power = 0; power < 32; power++) {
        for (const int offset : {-1, 0, 1}) check_bits((uint32_t(1) << power) + uint32_t(offset));
    }
    for (uint32_t i = 0; i < 200'000; i++) check_bits(random_bits(philox_key(4, 0), Stream::token_noise, 0, 0, i));

    // Of the bits themselves, while a float can tell (k + 1/2) 2^-32 from its neighbours: the tail that picks tokens.
    for (uint32_t bits = 0; bits < 4096; bits++) {
        const double v = (bits + 0.5) * 0x1p-32;
        check_close(gumbel(bits), -std::log(-std::log1p(-v)), 1e-6, "tail");
    }
}

TEST(gumbel_mean_and_variance) {
    constexpr int COUNT = 400'000;
    constexpr double EULER = 0.57721566490153286, PI = 3.14159265358979324;
    double sum = 0, square_sum = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        const double value = gumbel(random_bits(philox_key(5, 0), Stream::token_noise, 1, 2, i));
        sum += value;
        square_sum += value * value;
    }
    const double mean = sum / COUNT;
    check_close(mean, EULER, 0.01, "mean");
    check_close(square_sum / COUNT - mean * mean, PI * PI / 6, 0.02, "variance");
}

}  // namespace
}  // namespace dllm
