// The strict JSON reader: what it accepts, what it refuses, and where it says the fault is.
#include <cmath>
#include <limits>
#include <string>

#include "json_value.h"
#include "test.h"
#include "utf8.h"

using namespace dllm;

namespace {

JsonValue parse(std::string_view text) { return parse_json(text, "text"); }

void check_rejects(std::string_view text, std::string_view rule) {
    check_throws([&] { parse(text); }, ErrorCode::data, rule);
}

std::string parse_string(const std::string& body) { return parse("\"" + body + "\"").string(); }

}  // namespace

TEST(json_reads_every_kind) {
    const JsonValue value = parse(" {\"a\" : [ null, true ,false, -12, 0.5, \"x\" ],\t\"b\":{}\r\n} ");
    const JsonValue::Array& list = value.at("a").array();
    CHECK(list.size() == 6);
    CHECK(list[0].is_null());
    CHECK(list[1].boolean() && !list[2].boolean());
    CHECK(list[3].integer() == -12);
    CHECK(list[3].number() == -12.0);
    CHECK(list[4].number() == 0.5);
    CHECK(list[5].string() == "x");
    CHECK(value.at("b").object().empty());
    CHECK(value.find("c") == nullptr);
    CHECK(parse("[]").array().empty());
}

TEST(json_accessors_name_the_kind_they_found) {
    const JsonValue value = parse("{\"a\":1.5}");
    check_throws([&] { value.at("b"); }, ErrorCode::data, "no key \"b\"");
    check_throws([&] { value.at("a").integer(); }, ErrorCode::data, "expected an integer, found a number");
    check_throws([&] { value.at("a").string(); }, ErrorCode::data, "expected a string, found a number");
    check_throws([&] { value.array(); }, ErrorCode::data, "expected an array, found an object");
    check_throws([&] { parse("null").boolean(); }, ErrorCode::data, "expected a boolean, found null");
}

TEST(json_tells_integers_from_doubles) {
    CHECK(parse("9223372036854775807").integer() == std::numeric_limits<int64_t>::max());
    CHECK(parse("-9223372036854775808").integer() == std::numeric_limits<int64_t>::min());
    CHECK(parse("0").integer() == 0);
    for (const char* text : {"1.0", "1e2", "9223372036854775808", "-0", "0.0"}) {
        check_throws([&] { parse(text).integer(); }, ErrorCode::data, "found a number");
    }
    CHECK(parse("9223372036854775808").number() == 0x1p63);
    CHECK(std::signbit(parse("-0").number()));
    CHECK(parse("1E+2").number() == 100.0);
    CHECK(parse("0.1").number() == 0.1);
    CHECK(parse("5e-324").number() == std::numeric_limits<double>::denorm_min());
    CHECK(parse("1.7976931348623157e308").number() == std::numeric_limits<double>::max());
}

TEST(json_rejects_malformed_numbers) {
    for (const char* text : {"-", "1.", "1e", "1e+", "-a", "1.e5"}) check_rejects(text, "expected a digit");
    for (const char* text : {"01", "-012", "00"}) check_rejects(text, "must not start with 0");
    for (const char* text : {"+1", ".5", "NaN", "Infinity", "-Infinity"}) check_rejects(text, "expected a");
    check_rejects("1e999", "outside the range of double");
    check_rejects("0x10", "text after the end");
}

TEST(json_decodes_escapes) {
    CHECK(parse_string(R"(\"\\\/\b\f\n\r\t)") == "\"\\/\b\f\n\r\t");
    CHECK(parse_string(R"(\u0041\u00e9\u20AC)") == "A\u00e9\u20ac");
    CHECK(parse_string(R"(\ud83d\ude00)") == "\U0001F600");
    CHECK(parse_string(R"(\uDBFF\uDFFF)") == "\U0010FFFF");
    CHECK(parse_string(R"(a\u0000b)") == std::string("a\0b", 3));
}

TEST(json_rejects_malformed_strings) {
    for (const char* text : {R"("\u12")", R"("\u123g")", R"("\u-123")", R"("\u")"})
        check_rejects(text, "four hex digits");
    for (const char* text : {R"("\x")", R"("\a")", R"("\U0041")"}) check_rejects(text, "unknown escape");
    for (const char* text : {R"("\ud800")", R"("\udc00")", R"("\ud800\ud800")", R"("\ud800x")", R"("\ud800\n")"}) {
        check_rejects(text, "lone surrogate");
    }
    for (const char* text : {"\"", "\"abc", R"("\")", R"("abc\)"}) check_rejects(text, "has no end");
    check_rejects("\"a\nb\"", "control character");
    check_rejects(std::string_view("\"a\0b\"", 5), "control character");
    CHECK(parse_string("\x7f") == "\x7f");
}

TEST(json_rejects_what_is_not_utf8) {
    for (const char* body :
         {"\x80", "\xc3", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xe2\x28\xa1"}) {
        CHECK(!is_utf8(body));
        check_rejects("\"" + std::string(body) + "\"", "not valid UTF-8");
    }
    for (const char* body : {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                             "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
        CHECK(is_utf8(body));
        CHECK(parse_string(body) == body);
    }
    check_rejects("\xef\xbb\xbf{}", "expected a value");  // a byte order mark is no JSON
}

TEST(json_rejects_malformed_structure) {
    for (const char* text : {"", " ", "[", "[1", "{", "{\"a\":", "[1,"}) check_rejects(text, "the text ends");
    for (const char* text : {"{\"a\" 1}", "{\"a\"}"}) check_rejects(text, "expected ':'");
    for (const char* text : {"[1 2]", "[1}"}) check_rejects(text, "expected ']'");
    for (const char* text : {"{\"a\":1]", "{\"a\":1 \"b\":2}"}) check_rejects(text, "expected '}'");
    for (const char* text : {"[1,]", "[,1]", "{\"a\":}", "{,}", "{\"a\":1,}", "'a'", "]"})
        check_rejects(text, "expected a value");
    for (const char* text : {"{1:2}", "{null:2}", "{[]:1}"}) check_rejects(text, "a key must be a string");
    for (const char* text : {"tru", "True", "nul", "falsE"}) check_rejects(text, "expected");
    for (const char* text : {"1 2", "{}{}", "[]x", "null,"}) check_rejects(text, "text after the end");
    for (const char* text : {"[1,/*c*/2]", "//c\n1"}) check_rejects(text, "expected a value");
    check_rejects("[1,\v2]", "expected a value");  // only four characters are white space
}

TEST(json_rejects_repeated_keys_at_any_level) {
    check_rejects(R"({"a":1,"b":2,"a":3})", "key \"a\" appears twice");
    check_rejects(R"([{"x":{"k":1,"\u006b":1}}])", "key \"k\" appears twice");
    CHECK(parse(R"({"a":{"k":1},"b":{"k":1}})").object().size() == 2);
}

TEST(json_limits_nesting) {
    const auto nested = [](int depth) { return std::string(size_t(depth), '[') + std::string(size_t(depth), ']'); };
    parse(nested(64));
    check_rejects(nested(65), "nested deeper than 64 levels");
    check_rejects(std::string(1'000'000, '['), "nested deeper");
    std::string objects;
    for (int i = 0; i < 100'000; i++) objects += "{\"a\":";
    check_rejects(objects, "nested deeper");
    parse_json("[[1],[[2]]]", "text", ErrorCode::data, 3);
    check_throws([] { parse_json("[[[[1]]]]", "text", ErrorCode::data, 3); }, ErrorCode::data, "deeper than 3");
}

TEST(json_errors_name_the_source_the_byte_and_the_code) {
    check_throws([] { parse_json("[1, x]", "a/config.json", ErrorCode::config); }, ErrorCode::config,
                 "a/config.json: JSON byte 4: expected a value");
}

TEST(json_quote_is_read_back) {
    const std::string text = std::string("a\"b\\c\x01\x1f\n\t\0 ", 12) + "\u00e9\U0001F600\x7f";
    CHECK(parse(json_quote(text)).string() == text);
    CHECK(json_quote("abcdef", 3) == "\"abc...\"");
    CHECK(json_quote("a\u20acb", 3) == "\"a...\"");  // not cut inside a character
    CHECK(json_quote("abc", 3) == "\"abc\"");
}

TEST(error_codes_have_stable_names) {
    CHECK(std::string(error_code_name(ErrorCode::config)) == "ERR_CONFIG");
    CHECK(std::string(error_code_name(ErrorCode::checkpoint)) == "ERR_CHECKPOINT");
    CHECK(std::string(error_code_name(ErrorCode::data)) == "ERR_DATA");
    CHECK(std::string(error_code_name(ErrorCode::tokenizer)) == "ERR_TOKENIZER");
    CHECK(std::string(error_code_name(ErrorCode::out_of_memory)) == "ERR_OUT_OF_MEMORY");
    CHECK(std::string(error_code_name(ErrorCode::device)) == "ERR_DEVICE");
    CHECK(std::string(error_code_name(ErrorCode::disposed)) == "ERR_DISPOSED");
    CHECK(std::string(error_code_name(ErrorCode::aborted)) == "ERR_ABORTED");
    CHECK(std::string(error_code_name(ErrorCode::native)) == "ERR_NATIVE");
}
