// The native test framework: TEST(name) {...} registers itself, CHECK(expression) ends the test it fails in.
// Everything here must be called from the thread that runs the test.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <exception>
#include <iterator>
#include <ranges>
#include <source_location>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace dllm::test {

struct Case {
    const char* name;
    void (*run)();
};

inline std::vector<Case>& cases() {
    static std::vector<Case> all;
    return all;
}

struct Registration {
    explicit Registration(Case entry) { cases().push_back(entry); }
};

// Not derived from std::exception, so that a test which catches those does not swallow its own failure.
struct Failure {
    std::string message;
    std::source_location where;
};

struct Skipped {
    std::string reason;
};

inline void check(bool holds, const char* expression, std::source_location where = std::source_location::current()) {
    if (!holds) throw Failure{std::string("CHECK(") + expression + ")", where};
}

// Floating-point numbers in the shortest form that reads back as the same number.
template <class Value>
void write(std::ostream& out, const Value& value) {
    if constexpr (std::floating_point<Value>) {
        char digits[32];
        out << std::string_view(digits, std::to_chars(std::begin(digits), std::end(digits), value).ptr);
    } else {
        out << value;
    }
}

template <class... Parts>
std::string join(const Parts&... parts) {
    std::ostringstream text;
    (write(text, parts), ...);
    return text.str();
}

// ‖actual − expected‖ / ‖expected‖, or ‖actual‖ where expected is all zeros; NaN if either holds one.
template <std::ranges::contiguous_range Actual, std::ranges::contiguous_range Expected>
double relative_error(const Actual& actual, const Expected& expected) {
    double error = 0.0, norm = 0.0;
    for (size_t i = 0; i < std::ranges::size(expected); i++) {
        const double a = double(std::ranges::data(actual)[i]), e = double(std::ranges::data(expected)[i]);
        error += (a - e) * (a - e);
        norm += e * e;
    }
    return norm > 0.0 ? std::sqrt(error / norm) : std::sqrt(error);
}

template <class Function>
void expect_throw(Function&& function, const ErrorCode* code, std::string_view substring, std::source_location where) {
    std::string found;
    try {
        function();
    } catch (const std::exception& error) {
        found = error.what();
        const auto* own = dynamic_cast<const Error*>(&error);
        if (code && !own) throw Failure{join("threw another type than dllm::Error: ", found), where};
        if (code && own->code() != *code) {
            throw Failure{
                join("threw ", error_code_name(own->code()), " (", found, "), expected ", error_code_name(*code)),
                where};
        }
        if (found.find(substring) != std::string::npos) return;
        throw Failure{join("threw \"", found, "\", which lacks \"", substring, '"'), where};
    }
    throw Failure{"threw nothing", where};
}

}  // namespace dllm::test

namespace dllm {

// Ends the test without a verdict; it is counted and its reason printed.
[[noreturn]] inline void skip(const std::string& reason) { throw test::Skipped{reason}; }

// |actual − expected| ≤ tolerance · max(1, |expected|)
inline void check_close(double actual, double expected, double tolerance, std::string_view what,
                        std::source_location where = std::source_location::current()) {
    if (std::abs(actual - expected) <= tolerance * std::max(1.0, std::abs(expected))) return;
    throw test::Failure{test::join(what, ": got ", actual, ", expected ", expected, " within ", tolerance), where};
}

// The same number of elements, and a relative Frobenius error of at most the tolerance. For vectors, arrays, spans.
template <std::ranges::contiguous_range Actual, std::ranges::contiguous_range Expected>
void check_close(const Actual& actual, const Expected& expected, double tolerance, std::string_view what,
                 std::source_location where = std::source_location::current()) {
    const size_t count = std::ranges::size(expected);
    if (std::ranges::size(actual) != count) {
        throw test::Failure{test::join(what, ": ", std::ranges::size(actual), " elements, expected ", count), where};
    }
    const double error = test::relative_error(actual, expected);
    if (error <= tolerance) return;
    size_t worst = 0;
    double largest = -1.0;
    for (size_t i = 0; i < count; i++) {
        const double difference =
            std::abs(double(std::ranges::data(actual)[i]) - double(std::ranges::data(expected)[i]));
        if (difference <= largest) continue;  // NaN is never ≤, so it is kept as the worst
        worst = i;
        largest = difference;
        if (std::isnan(difference)) break;
    }
    throw test::Failure{test::join(what, ": relative error ", error, " > ", tolerance, "; worst at [", worst, "]: got ",
                                   std::ranges::data(actual)[worst], ", expected ", std::ranges::data(expected)[worst]),
                        where};
}

// Equal values, printed when they differ.
template <class Actual, class Expected>
    requires(!std::ranges::contiguous_range<Actual>)
void check_equal(const Actual& actual, const Expected& expected, std::string_view what,
                 std::source_location where = std::source_location::current()) {
    if (actual == expected) return;
    throw test::Failure{test::join(what, ": got ", actual, ", expected ", expected), where};
}

inline void check_equal(std::string_view actual, std::string_view expected, std::string_view what,
                        std::source_location where = std::source_location::current()) {
    if (actual == expected) return;
    throw test::Failure{test::join(what, ": got \"", actual, "\", expected \"", expected, '"'), where};
}

// The same number of elements, each equal.
template <std::ranges::contiguous_range Actual, std::ranges::contiguous_range Expected>
    requires(!std::convertible_to<Actual, std::string_view>)
void check_equal(const Actual& actual, const Expected& expected, std::string_view what,
                 std::source_location where = std::source_location::current()) {
    const size_t count = std::ranges::size(expected);
    if (std::ranges::size(actual) != count) {
        throw test::Failure{test::join(what, ": ", std::ranges::size(actual), " elements, expected ", count), where};
    }
    for (size_t i = 0; i < count; i++) {
        if (std::ranges::data(actual)[i] == std::ranges::data(expected)[i]) continue;
        throw test::Failure{test::join(what, ": at [", i, "] got ", std::ranges::data(actual)[i], ", expected ",
                                       std::ranges::data(expected)[i]),
                            where};
    }
}

// The function throws a std::exception whose message contains the substring; with a code, a dllm::Error of that code.
template <class Function>
void check_throws(Function&& function, std::string_view substring,
                  std::source_location where = std::source_location::current()) {
    test::expect_throw(function, nullptr, substring, where);
}

template <class Function>
void check_throws(Function&& function, ErrorCode code, std::string_view substring = "",
                  std::source_location where = std::source_location::current()) {
    test::expect_throw(function, &code, substring, where);
}

}  // namespace dllm

#define CHECK(...) ::dllm::test::check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__)

#define TEST(name)                                                                         \
    static void test_##name();                                                             \
    static const ::dllm::test::Registration registration_of_##name({#name, &test_##name}); \
    static void test_##name()
