// The strict safetensors reader: the rules for the file as a whole, and what it reads.
#include <sys/stat.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include "half.h"
#include "safetensors.h"
#include "safetensors_files.h"

using namespace dllm;
using namespace dllm::safetensors_test;

TEST(safetensors_rejects_a_file_too_short_for_the_length) {
    for (size_t size = 0; size < 8; size++) check_rejects(std::string(size, '\0'), "too few for a safetensors header");
}

TEST(safetensors_rejects_a_header_length_over_the_limit) {
    check_rejects(length_field(100'000'001) + "{}", "header length 100000001 exceeds 100000000");
    check_rejects(length_field(std::numeric_limits<uint64_t>::max()) + "{}", "exceeds 100000000");
}

TEST(safetensors_rejects_a_header_longer_than_the_file) {
    check_rejects(length_field(3) + "{}", "header length 3 exceeds the file of 10 bytes");
    check_rejects(length_field(100'000'000) + "{}", "exceeds the file");
}

TEST(safetensors_rejects_a_header_not_starting_with_a_brace) {
    for (const char* header : {"", " {}", "[]", "null", "\xef\xbb\xbf{}"})
        check_rejects_header(header, "must start with '{'");
}

TEST(safetensors_rejects_a_header_that_is_not_json) {
    check_rejects_header("{\"a\"}", "expected ':'");
    check_rejects_header("{{}", "a key must be a string");
    check_rejects_header("{} {}", "text after the end");
    check_rejects_header("{'a':1}", "expected a value");
}

TEST(safetensors_rejects_a_header_that_is_not_utf8) {
    check_rejects_header("{\"\xff\":" + SCALAR + "}", "not valid UTF-8", 4);
    check_rejects_header("{\"__metadata__\":{\"a\":\"\xed\xa0\x80\"}}", "not valid UTF-8");
    check_rejects_header("{\"a\":\"\\ud800\"}", "must be an object");
    check_rejects_header("{\"\\ud800\":" + SCALAR + "}", "lone surrogate", 4);
}

TEST(safetensors_allows_only_spaces_as_padding) {
    CHECK(parse_header("{}     ").tensors.empty());
    CHECK(parse_header("{\n\t\"a\" : " + SCALAR + "\r\n}  ", 4).tensors.size() == 1);
    for (const char* header : {"{}\n", "{}\t ", "{}x", "{}}x"}) check_rejects_header(header, "padded with spaces only");
    check_rejects_header(std::string("{}\0", 3), "padded with spaces only");
}

TEST(safetensors_rejects_holes) {
    check_rejects_header("{\"a\":" + entry("\"U8\"", "[4]", "[4,8]") + "}", "tensor \"a\": hole", 8);
    check_rejects_header("{\"a\":" + SCALAR + ",\"b\":" + entry("\"U8\"", "[3]", "[5,8]") + "}", "tensor \"b\": hole",
                         8);
}

TEST(safetensors_rejects_overlaps) {
    check_rejects_header("{\"a\":" + SCALAR + ",\"b\":" + SCALAR + "}", "tensor \"b\": overlap", 4);
    check_rejects_header("{\"b\":" + entry("\"U8\"", "[4]", "[3,7]") + ",\"a\":" + SCALAR + "}",
                         "tensor \"b\": overlap", 7);
}

TEST(safetensors_rejects_offsets_outside_the_file) {
    check_rejects_entry(entry("\"F32\"", "[2]", "[0,8]"), "data_offsets end at 8, but the file has 4 data bytes");
    check_rejects_entry(entry("\"F32\"", "[]", "[4,0]"), "end before they begin");
    check_rejects_entry(entry("\"F32\"", "[]", "[9223372036854775803,9223372036854775807]"), "hole");
}

TEST(safetensors_rejects_data_of_no_tensor) {
    check_rejects_header("{}", "the tensors end at 0, but the file has 1 data bytes", 1);
    check_rejects_header("{\"a\":" + SCALAR + "}", "the tensors end at 4, but the file has 5 data bytes", 5);
}

TEST(safetensors_limits_the_number_of_tensors_and_metadata) {
    const auto tensors = [](size_t count) {
        std::string header = "{";
        for (size_t i = 0; i < count; i++) {
            header += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":" + entry("\"U8\"", "[0]", "[0,0]");
        }
        return header + "}";
    };
    CHECK(parse_header(tensors(SAFETENSORS_MAX_TENSORS)).tensors.size() == SAFETENSORS_MAX_TENSORS);
    check_rejects_header(tensors(SAFETENSORS_MAX_TENSORS + 1), "more than 65536 tensors");
    const auto metadata = [](size_t count) {
        std::string header = "{\"__metadata__\":{";
        for (size_t i = 0; i < count; i++) header += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":\"\"";
        return header + "}}";
    };
    CHECK(parse_header(metadata(SAFETENSORS_MAX_METADATA)).metadata.size() == SAFETENSORS_MAX_METADATA);
    check_rejects_header(metadata(SAFETENSORS_MAX_METADATA + 1), "more than 4096 entries");
}

TEST(safetensors_accepts_empty_and_scalar_tensors_in_any_order) {
    const SafetensorsHeader header =
        parse_header("{\"z\":" + entry("\"U8\"", "[3]", "[4,7]") + ",\"\":" + entry("\"F64\"", "[3,0,2]", "[7,7]") +
                         ",\"s\":" + SCALAR + ",\"e\":" + entry("\"I64\"", "[0]", "[4,4]") + "}",
                     7);
    CHECK(header.tensors.size() == 4);
    const char* in_order[] = {"s", "e", "z", ""};
    for (size_t i = 0; i < 4; i++) CHECK(header.tensors[i].name == in_order[i]);
    CHECK(header.tensors[0].shape.empty());
    CHECK(header.tensors[0].end - header.tensors[0].begin == 4);
    CHECK(parse_header("{}").tensors.empty());
}

TEST(safetensors_rejects_every_other_length_of_a_valid_file) {
    const std::string good =
        safetensors_bytes("{\"a\":" + SCALAR + ",\"b\":" + entry("\"F16\"", "[2]", "[4,8]") + "}", "12345678");
    CHECK(parse(good).tensors.size() == 2);
    for (size_t size = 0; size < good.size(); size++) check_rejects(good.substr(0, size), "");
    check_rejects(good + "x", "the file has 9 data bytes");
}

TEST(safetensors_finds_tensors_by_name) {
    const ScratchFolder folder;
    std::string header = "{";
    for (int i = 0; i < 100; i++) {
        header += (i > 0 ? ",\"t" : "\"t") + std::to_string(i) +
                  "\":" + entry("\"U8\"", "[1]", "[" + std::to_string(i) + "," + std::to_string(i + 1) + "]");
    }
    std::string data;
    for (int i = 0; i < 100; i++) data += char(i);
    write_file(folder / "x", safetensors_bytes(header + "}", data));
    const SafetensorsFile file(folder / "x");
    CHECK(file.path() == folder / "x");
    for (int i = 0; i < 100; i++) {
        const TensorEntry* found = file.find("t" + std::to_string(i));
        CHECK(found && *file.data(*found) == std::byte(i));
    }
    for (const char* name : {"", "t", "t100", "u", "__metadata__"}) CHECK(file.find(name) == nullptr);
}

TEST(safetensors_widens_f16_and_bf16_exactly) {
    const auto exact = [](uint16_t bits, int exponent_bits) {  // by the definition of the formats
        const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
        const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1),
                  mantissa = bits & ((1 << mantissa_bits) - 1);
        double magnitude = std::ldexp(double(mantissa + (exponent > 0 ? 1 << mantissa_bits : 0)),
                                      std::max(exponent, 1) - bias - mantissa_bits);
        if (exponent == (1 << exponent_bits) - 1) magnitude = mantissa > 0 ? std::nan("") : INFINITY;
        return float(bits & 0x8000 ? -magnitude : magnitude);
    };
    for (uint32_t bits = 0; bits < 65536; bits++) {
        for (const auto& [widened, expected] : {std::pair(widen_f16(uint16_t(bits)), exact(uint16_t(bits), 5)),
                                                std::pair(widen_bf16(uint16_t(bits)), exact(uint16_t(bits), 8))}) {
            CHECK(std::isnan(expected) ? std::isnan(widened) : widened == expected);
            CHECK(std::signbit(widened) == bool(bits & 0x8000));
        }
    }
}

TEST(safetensors_reads_unaligned_tensors) {
    const ScratchFolder folder;
    const float numbers[] = {1.5f, -2.0f};
    const uint16_t bf16[] = {0x3FC0, 0xC000}, f16[] = {0x3E00, 0xC000};
    std::string data = "x";
    for (const void* values :
         {static_cast<const void*>(numbers), static_cast<const void*>(bf16), static_cast<const void*>(f16)}) {
        data.append(static_cast<const char*>(values), values == numbers ? 8 : 4);
    }
    const std::string header =
        "{\"x\":" + entry("\"I8\"", "[]", "[0,1]") + ",\"f32\":" + entry("\"F32\"", "[2]", "[1,9]") +
        ",\"bf16\":" + entry("\"BF16\"", "[2]", "[9,13]") + ",\"f16\":" + entry("\"F16\"", "[2]", "[13,17]") + "}";
    for (size_t padding = 0; padding < 8; padding++) {
        write_file(folder / "x", safetensors_bytes(header + std::string(padding, ' '), data));
        const SafetensorsFile file(folder / "x");
        for (const char* name : {"f32", "bf16", "f16"}) {
            float read[2] = {};
            file.read_f32(*file.find(name), read);
            CHECK(read[0] == 1.5f && read[1] == -2.0f);
        }
        float untouched = 3.0f;
        check_throws([&] { file.read_f32(*file.find("x"), &untouched); }, ErrorCode::checkpoint,
                     (folder / "x") + ": tensor \"x\": dtype is I8, accepted are F32, BF16 and F16");
        CHECK(untouched == 3.0f);
    }
}

TEST(safetensors_refuses_what_is_no_regular_file) {
    const ScratchFolder folder;
    check_throws([&] { SafetensorsFile(folder / "missing"); }, ErrorCode::checkpoint,
                 "missing: cannot open: No such file");
    check_throws([&] { SafetensorsFile(folder / ""); }, ErrorCode::checkpoint, "is a folder");
    CHECK(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    check_throws([&] { SafetensorsFile(folder / "pipe"); }, ErrorCode::checkpoint, "is not a regular file");
    write_file(folder / "empty", "");
    check_throws([&] { SafetensorsFile(folder / "empty"); }, ErrorCode::checkpoint, "empty: the file has 0 bytes");
    check_throws([&] { MappedFile(folder / "missing", ErrorCode::data); }, ErrorCode::data, "missing");
}

TEST(mapped_file_moves_its_mapping) {
    const ScratchFolder folder;
    write_file(folder / "a", "first");
    write_file(folder / "b", "second!");
    MappedFile a(folder / "a", ErrorCode::data), b(folder / "b", ErrorCode::data);
    const MappedFile moved(std::move(a));
    CHECK(moved.bytes().size() == 5 && char(moved.bytes()[0]) == 'f');
    b = MappedFile(folder / "a", ErrorCode::data);
    CHECK(b.bytes().size() == 5 && b.path() == folder / "a");
}

TEST(safetensors_reads_the_shared_vectors) {
    const char* given = std::getenv("DLLM_SHARED");
    const std::filesystem::path vectors = std::filesystem::path(given ? given : "../shared") / "vectors";
    if (!std::filesystem::is_directory(vectors)) skip("no folder " + vectors.string());
    int count = 0;
    for (const auto& item : std::filesystem::recursive_directory_iterator(vectors)) {
        if (item.path().extension() != ".safetensors") continue;
        const SafetensorsFile file(item.path().string());
        CHECK(!file.tensors().empty());
        count++;
    }
    CHECK(count > 0);
}
