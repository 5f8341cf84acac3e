// The strict safetensors reader: the rules for one tensor's entry and for the metadata in the header.
#include <utility>

#include "safetensors_files.h"

using namespace dllm;
using namespace dllm::safetensors_test;

TEST(safetensors_rejects_duplicate_tensors) {
    const std::string empty = entry("\"F32\"", "[0]", "[0,0]");
    check_rejects_header("{\"a\":" + empty + ",\"a\":" + empty + "}", "tensor \"a\": duplicate key");
    check_rejects_header("{\"a\":" + SCALAR + ",\"\\u0061\":" + SCALAR + "}", "duplicate key", 4);
}

TEST(safetensors_rejects_duplicate_metadata) {
    check_rejects_header(R"({"__metadata__":{},"__metadata__":{}})", "duplicate key \"__metadata__\"");
    check_rejects_header(R"({"__metadata__":{"k":"1","k":"1"}})", "__metadata__: duplicate key \"k\"");
}

TEST(safetensors_rejects_duplicate_fields) {
    check_rejects_entry(R"({"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]})", "duplicate key \"dtype\"");
    check_rejects_entry(R"({"dtype":"F32","shape":[],"shape":[],"data_offsets":[0,4]})", "duplicate key \"shape\"");
    check_rejects_entry(R"({"data_offsets":[0,4],"dtype":"F32","shape":[],"data_offsets":[0,4]})",
                        "duplicate key \"data_offsets\"");
}

TEST(safetensors_metadata_maps_strings_to_strings) {
    const auto metadata = parse_header(R"({"__metadata__":{"format":"pt","é\n":""}})").metadata;
    CHECK(metadata == std::map<std::string, std::string>{{"format", "pt"}, {"é\n", ""}});
    for (const char* value : {"null", "[]", "\"pt\"", "1"}) {
        check_rejects_header(std::string("{\"__metadata__\":") + value + "}", "__metadata__: must be an object");
    }
    for (const char* value : {"null", "1", "true", "{}", "[\"a\"]"}) {
        check_rejects_header(std::string("{\"__metadata__\":{\"k\":") + value + "}}",
                             "the value of \"k\" must be a string");
    }
}

TEST(safetensors_rejects_missing_fields) {
    check_rejects_entry("{}", "dtype is missing");
    check_rejects_entry(R"({"shape":[],"data_offsets":[0,4]})", "dtype is missing");
    check_rejects_entry(R"({"dtype":"F32","data_offsets":[0,4]})", "shape is missing");
    check_rejects_entry(R"({"dtype":"F32","shape":[]})", "data_offsets is missing");
}

TEST(safetensors_rejects_unknown_fields) {
    check_rejects_entry(R"({"dtype":"F32","shape":[],"data_offsets":[0,4],"extra":0})", "unknown key \"extra\"");
    check_rejects_entry(R"({"Dtype":"F32","shape":[],"data_offsets":[0,4]})", "unknown key \"Dtype\"");
}

TEST(safetensors_rejects_entries_that_are_no_objects) {
    for (const char* value : {"null", "[]", "4", "\"F32\""}) check_rejects_entry(value, "must be an object");
    check_rejects_entry(std::string(1'000'000, '['), "must be an object, found an array");
}

TEST(safetensors_rejects_fields_of_the_wrong_type) {
    for (const char* dtype : {"null", "32", "[\"F32\"]", "{}"}) {
        check_rejects_entry(entry(dtype, "[]", "[0,4]"), "dtype must be a string");
    }
    for (const char* list : {"null", "1", "\"1\"", "{}", "true"}) {
        check_rejects_entry(entry("\"F32\"", list, "[0,4]"), "shape must be an array");
        check_rejects_entry(entry("\"F32\"", "[]", list), "data_offsets must be an array");
    }
    for (const char* element : {"null", "\"1\"", "[1]", "true", "{}"}) {
        check_rejects_entry(entry("\"F32\"", std::string("[") + element + "]", "[0,4]"), "shape takes integers from 0");
        check_rejects_entry(entry("\"F32\"", "[]", std::string("[0,") + element + "]"),
                            "data_offsets takes integers from 0");
    }
}

TEST(safetensors_rejects_numbers_that_are_no_sizes) {
    for (const char* number : {"-1", "1.0", "1e0", "0.5", "-0", "9223372036854775808", "18446744073709551616"}) {
        const std::string found = std::string("found ") + number;
        check_rejects_entry(entry("\"F32\"", std::string("[") + number + "]", "[0,4]"), found);
        check_rejects_entry(entry("\"F32\"", "[]", std::string("[0,") + number + "]"), found);
    }
    check_rejects_header("{\"a\":" + entry("\"F32\"", "[01]", "[0,4]") + "}", "must not start with 0", 4);
}

TEST(safetensors_rejects_offsets_that_are_no_pair) {
    for (const char* offsets : {"[]", "[4]"})
        check_rejects_entry(entry("\"F32\"", "[]", offsets), "data_offsets has fewer than 2 elements");
    check_rejects_entry(entry("\"F32\"", "[]", "[0,4,4]"), "more than 2 elements");
}

TEST(safetensors_rejects_unknown_dtypes) {
    for (const char* dtype : {"F31", "f32", "", "F32 ", "float32", "F128"}) {
        check_rejects_entry(entry(std::string("\"") + dtype + "\"", "[]", "[0,4]"), "unknown dtype");
    }
    check_rejects_entry(entry("\"Q4\"", "[]", "[0,4]"), "unknown dtype \"Q4\", expected one of F64, F32,");
}

TEST(safetensors_knows_the_size_of_each_dtype) {
    const std::pair<const char*, size_t> bytes_of_eight[] = {
        {"BOOL", 8},        {"U8", 8},          {"I8", 8},      {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8},
        {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
        {"I32", 32},        {"U32", 32},        {"F32", 32},    {"F64", 64},    {"I64", 64},    {"U64", 64},
        {"C64", 64},        {"F4", 4},          {"F6_E2M3", 6}, {"F6_E3M2", 6},
    };
    for (const auto& [dtype, bytes] : bytes_of_eight) {
        const std::string quoted = std::string("\"") + dtype + "\"";
        const std::string header = "{\"a\":" + entry(quoted, "[2,4]", "[0," + std::to_string(bytes) + "]") + "}";
        CHECK(parse_header(header, bytes).tensors[0].dtype == dtype);
        const std::string wrong = "{\"a\":" + entry(quoted, "[2,4]", "[0," + std::to_string(bytes + 1) + "]") + "}";
        check_rejects_header(wrong, "shape and dtype take " + std::to_string(bytes), bytes + 1);
    }
    check_rejects_entry(entry("\"F4\"", "[3]", "[0,2]"), "do not fill whole bytes");
}

TEST(safetensors_rejects_a_size_other_than_shape_and_dtype) {
    check_rejects_entry(entry("\"F32\"", "[2]", "[0,4]"), "span 4 bytes, but shape and dtype take 8");
    check_rejects_entry(entry("\"F32\"", "[0]", "[0,4]"), "span 4 bytes, but shape and dtype take 0");
    check_rejects_entry(entry("\"F16\"", "[]", "[0,4]"), "span 4 bytes, but shape and dtype take 2");
}

TEST(safetensors_rejects_sizes_that_overflow) {
    for (const char* shape : {"[9223372036854775807,3]", "[4294967296,4294967296]", "[9223372036854775807]",
                              "[4294967296,4294967296,0]", "[2305843009213693952,8]"}) {
        check_rejects_entry(entry("\"F32\"", shape, "[0,4]"), "overflows 64 bits");
    }
}

TEST(safetensors_limits_the_rank) {
    const auto header = [](int rank) {
        std::string shape = "1";
        for (int i = 1; i < rank; i++) shape += ",1";
        return "{\"a\":" + entry("\"F32\"", "[" + shape + "]", "[0,4]") + "}";
    };
    CHECK(parse_header(header(16), 4).tensors[0].shape.size() == 16);
    check_rejects_header(header(17), "tensor \"a\": shape has more than 16 elements", 4);
}

TEST(safetensors_errors_shorten_and_escape_names) {
    check_rejects_header("{\"a\\nb" + std::string(1000, 'c') + "\":1}",
                         "tensor \"a\\u000ab" + std::string(97, 'c') + "...\": must be");
}
