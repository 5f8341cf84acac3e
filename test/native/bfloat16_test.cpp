// Matrix products in bfloat16 on the CPU: what is rounded and how, on every kind of instructions this CPU has for them.
#include "cpu/backend.h"
#include "cpu/kernels.h"
#include "half.h"
#include "op_cases.h"
#include "test.h"
#include "thread_limit.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>

namespace dllm {
namespace {

using namespace test;

// Of float32 sums, whatever their order, when the twin multiplies the same rounded operands.
constexpr double SUM_TOLERANCE = 1e-5;
// When it multiplies operands that are not rounded: each is off by up to 2^-9, and the few terms of a small product may
// cancel each other.
constexpr double ROUNDING_TOLERANCE = 1e-2;

std::unique_ptr<Backend> backend_of(const std::string& products) {
    const std::vector<std::string> usable = usable_bfloat16_products();
    if (std::find(usable.begin(), usable.end(), products) == usable.end())
        skip("this CPU, or the compiler of this build, has no bfloat16 products by " + products);
    return make_cpu_backend(kernels().name, products);
}

const OpCases& matmul_cases() {
    static const OpCases cases = [] {
        OpCases all;
        add_matmul_cases(all);
        return all;
    }();
    return cases;
}

void check_products(const std::string& products, double tolerance, Factors factors) {
    const auto backend = backend_of(products);
    std::string wrong;
    for (OpCase op_case : matmul_cases()) {
        op_case.tolerance = tolerance;
        wrong += op_case_differences(*backend, op_case, factors);
    }
    if (!wrong.empty())
        throw Failure{join(backend->name(), " differs from the twins", wrong), std::source_location::current()};
}

TEST(bfloat16_products_by_amx) { check_products("amx", SUM_TOLERANCE, Factors::rounded); }
TEST(bfloat16_products_by_avx512_bf16) { check_products("avx512_bf16", SUM_TOLERANCE, Factors::rounded); }
TEST(bfloat16_products_by_rounding) { check_products("rounded", SUM_TOLERANCE, Factors::rounded); }
// The best there is; with the three above, this bounds the others too.
TEST(bfloat16_products_are_near_those_of_float32) {
    check_products(usable_bfloat16_products().front(), ROUNDING_TOLERANCE, Factors::as_they_are);
}

// Ties to even and to odd, just beside ties, sums that carry into the exponent, the largest numbers, infinities.
std::vector<float> awkward_numbers() {
    std::vector<float> numbers;
    for (const uint32_t bits : {0x3F800000u, 0x3F808000u, 0x3F818000u, 0x3F807FFFu, 0x3F808001u, 0x3F817FFFu,
                                0x3F818001u, 0x3FFFFFFFu, 0x3FFF8000u, 0x3FFF7FFFu, 0x7F7F7FFFu, 0x7F7F8000u,
                                0x7F7FFFFFu, 0x7F800000u, 0x00800000u, 0x00808000u, 0x00818000u, 0x00000000u}) {
        numbers.push_back(std::bit_cast<float>(bits));
        numbers.push_back(std::bit_cast<float>(bits | 0x80000000u));
    }
    return numbers;
}

// Products of depth 1 by one are the rounded operand itself.
void check_rounding(const std::string& products) {
    const auto backend = backend_of(products);
    std::vector<float> numbers = awkward_numbers();
    numbers.push_back(std::numeric_limits<float>::quiet_NaN());
    numbers.push_back(std::bit_cast<float>(0x7F800001u));  // NaN only in the bits that rounding drops
    const int64_t count = int64_t(numbers.size());
    float one = 1;
    const auto check = [&](const std::vector<float>& rounded, const char* side) {
        for (size_t i = 0; i < numbers.size(); i++) {
            const float expected = widen_bf16(narrow_bf16(numbers[i]));
            if (rounded[i] == expected || (std::isnan(rounded[i]) && std::isnan(expected))) continue;
            throw Failure{join(products, ", ", side, ": ", numbers[i], " became ", rounded[i], ", expected ", expected),
                          std::source_location::current()};
        }
    };
    std::vector<float> rounded(numbers.size());
    const Tensor column{numbers.data(), count, 1, 1}, row{numbers.data(), 1, count, count}, unit{&one, 1, 1, 1};
    for (const WeightLayout layout : {WeightLayout::in_out, WeightLayout::out_in}) {
        backend->matmul_forward({rounded.data(), count, 1, 1}, column, unit, {}, {}, layout);
        check(rounded, "rows");
        const Tensor weight = layout == WeightLayout::in_out ? row : column;
        backend->matmul_forward({rounded.data(), 1, count, count}, unit, weight, {}, {}, layout);
        check(rounded, "columns");
    }
}

TEST(bfloat16_products_round_to_nearest_even) {
    for (const std::string& products : usable_bfloat16_products()) check_rounding(products);
}

// One row of a wide product stays itself when its neighbours hold infinities, and when the depth is filled up.
TEST(bfloat16_products_keep_rows_apart) {
    for (const std::string& products : usable_bfloat16_products()) {
        const auto backend = make_cpu_backend(kernels().name, products);
        std::vector<float> x(5 * 3, std::numeric_limits<float>::infinity()), weight(3 * 35, 2), out(5 * 35);
        for (int64_t i = 0; i < 3; i++) x[size_t(2 * 3 + i)] = 1;
        backend->matmul_forward({out.data(), 5, 35, 35}, {x.data(), 5, 3, 3}, {weight.data(), 3, 35, 35}, {}, {},
                                WeightLayout::in_out);
        for (size_t i = 0; i < out.size(); i++)
            CHECK(out[i] == (i / 35 == 2 ? 6.0f : std::numeric_limits<float>::infinity()));
    }
}

// Alone, a row takes another way through the driver than among hundreds.
TEST(rows_of_a_large_bfloat16_product_have_the_same_bits_alone) {
    constexpr int64_t ROWS = 450, I = 1100, O = 150;
    Random random(3);
    std::vector<float> x = random.normal<float>(ROWS, I).data, weight = random.normal<float>(I, O).data;
    for (const std::string& products : usable_bfloat16_products()) {
        const auto backend = make_cpu_backend(kernels().name, products);
        std::vector<float> all(ROWS * O), alone(O);
        const Tensor w{weight.data(), I, O, O};
        backend->matmul_forward({all.data(), ROWS, O, O}, {x.data(), ROWS, I, I}, w, {}, {}, WeightLayout::in_out);
        for (const int64_t row : {0, 1, 191, 192, 255, 449}) {
            const Tensor one{x.data() + row * I, 1, I, I};
            backend->matmul_forward({alone.data(), 1, O, O}, one, w, {}, {}, WeightLayout::in_out);
            CHECK(std::equal(alone.begin(), alone.end(), all.begin() + row * O));
        }
    }
}

std::vector<uint32_t> bits_of(Backend& backend, const OpCase& op_case, int threads) {
    set_thread_limit(threads);
    OpRun run(backend, Placement::tight, false);
    op_case.run(run);
    return run.output_bits();
}

TEST(bfloat16_products_give_the_same_bits_at_any_thread_count) {
    const ThreadLimit restored;
    for (const std::string& products : usable_bfloat16_products()) {
        const auto backend = make_cpu_backend(kernels().name, products);
        for (const OpCase& op_case : matmul_cases()) {
            const std::vector<uint32_t> expected = bits_of(*backend, op_case, 1);
            for (const int threads : {2, 5}) {
                if (bits_of(*backend, op_case, threads) == expected) continue;
                throw Failure{join(products, ", ", op_case.name, ": other bits with ", threads, " threads"),
                              std::source_location::current()};
            }
        }
    }
}

// Neither their scratch memory nor the state of the processor reaches float32.
TEST(float32_products_do_not_change_after_bfloat16_ones) {
    const auto float32 = make_cpu_backend(kernels().name);
    const auto bfloat16 = make_cpu_backend(kernels().name, usable_bfloat16_products().front());
    for (const OpCase& op_case : matmul_cases()) {
        const std::vector<uint32_t> expected = bits_of(*float32, op_case, thread_limit());
        bits_of(*bfloat16, op_case, thread_limit());
        if (bits_of(*float32, op_case, thread_limit()) == expected) continue;
        throw Failure{op_case.name + " has other bits afterwards", std::source_location::current()};
    }
}

TEST(bfloat16_products_are_chosen_by_name) {
    CHECK(usable_bfloat16_products().back() == "rounded");
    check_equal(std::string(bfloat16_products_of(kernels(), "rounded").name), "rounded", "name");
    check_throws([] { make_cpu_backend(kernels().name, "fp8"); }, ErrorCode::config,
                 "DLLM_CPU_BFLOAT16: the kind of matrix products must be one of ");
    check_throws([] { make_cpu_backend(DType::i32); }, ErrorCode::native, "f32 or bf16");
    const std::string name = make_cpu_backend(DType::bf16)->name();
    CHECK(name == std::string(kernels().name) + ", bfloat16 by " + bfloat16_products().name);
    CHECK(make_cpu_backend(DType::bf16)->compute_dtype() == DType::f32);
}

}  // namespace
}  // namespace dllm
