// Scratch files and hand-made safetensors bytes for the tests of the reader and the writer.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <string_view>

#include "error.h"
#include "safetensors.h"
#include "test.h"

namespace dllm::safetensors_test {

// A folder of its own for one test, removed with it.
class ScratchFolder {
public:
    ScratchFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "dllm-test-XXXXXX").string();
        if (!::mkdtemp(name.data())) fail(ErrorCode::native, "cannot create a scratch folder like " + name);
        folder_ = name;
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    ~ScratchFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    std::string operator/(std::string_view name) const { return (folder_ / name).string(); }

private:
    std::filesystem::path folder_;
};

inline void write_file(const std::string& path, std::string_view bytes) {
    std::filesystem::remove(path);  // some file systems flush a file that is cut to zero and written again
    std::ofstream file(path, std::ios::binary);
    file.write(bytes.data(), std::streamsize(bytes.size()));
    file.close();
    if (!file) fail(ErrorCode::native, "cannot write " + path);
}

inline std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) fail(ErrorCode::native, "cannot read " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string length_field(uint64_t length) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    return bytes;
}

inline std::string safetensors_bytes(std::string_view header, std::string_view data = "") {
    return length_field(header.size()).append(header).append(data);
}

inline SafetensorsHeader parse(const std::string& bytes) {
    const std::unique_ptr<char[]> exact(new char[bytes.size()]);  // so that the sanitizer sees a read past the end
    std::memcpy(exact.get(), bytes.data(), bytes.size());
    return parse_safetensors_header(std::as_bytes(std::span(exact.get(), bytes.size())), "x.safetensors");
}

inline void check_rejects(const std::string& bytes, std::string_view rule,
                          std::source_location where = std::source_location::current()) {
    check_throws([&] { parse(bytes); }, ErrorCode::checkpoint, rule, where);
    check_throws([&] { parse(bytes); }, ErrorCode::checkpoint, "x.safetensors: ", where);
}

inline void check_rejects_header(const std::string& header, std::string_view rule, size_t data_bytes = 0,
                                 std::source_location where = std::source_location::current()) {
    check_rejects(safetensors_bytes(header, std::string(data_bytes, '\0')), rule, where);
}

inline std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

// A file of one tensor "a" that takes four data bytes unless the fields say otherwise.
inline void check_rejects_entry(const std::string& fields, std::string_view rule,
                                std::source_location where = std::source_location::current()) {
    check_rejects_header("{\"a\":" + fields + "}", rule, 4, where);
    check_rejects_header("{\"a\":" + fields + "}", "tensor \"a\": ", 4, where);
}

inline SafetensorsHeader parse_header(const std::string& header, size_t data_bytes = 0) {
    return parse(safetensors_bytes(header, std::string(data_bytes, '\0')));
}

inline const std::string SCALAR = entry("\"F32\"", "[]", "[0,4]");

}  // namespace dllm::safetensors_test
