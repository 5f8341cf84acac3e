// A JavaScript value and the path that names it in errors: strict conversion of arguments.
//
// Every accessor throws TypeMismatch for a wrong type and ERR_CONFIG for a value that is not accepted, for example
// "batch.tokens must be an Int32Array, got a Float32Array".
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dllm::bindings {

class Field {
public:
    Field(Napi::Value value, std::string path) : value_(value), path_(std::move(path)) {}

    // A property of an object; undefined if it has none.
    Field operator[](const char* key) const;
    // An array's length and elements.
    uint32_t length() const;
    Field operator[](uint32_t index) const;

    bool is_null() const { return value_.IsNull(); }
    bool boolean() const;
    int64_t integer(int64_t minimum, int64_t maximum) const;
    // An unsigned integer that a double holds exactly: 0 to 2^53 - 1.
    uint64_t seed() const;
    double number() const;  // finite
    float single() const;   // finite as a float too
    std::string string() const;
    std::string path_name() const;  // a string fit for the file system
    // The value that belongs to a string.
    template <typename Value>
    Value one_of(const std::vector<std::pair<std::string_view, Value>>& choices) const {
        const std::string found = string();
        std::vector<std::string_view> accepted;
        for (const auto& [name, value] : choices) {
            if (name == found) return value;
            accepted.push_back(name);
        }
        reject_choice(accepted);
    }

    // Copies: the elements may be read on another thread.
    std::vector<int32_t> int32s() const;
    std::vector<float> floats() const;
    std::vector<uint8_t> bytes() const;

    const Napi::Value& value() const { return value_; }
    [[noreturn]] void reject_type(const std::string& accepted) const;
    [[noreturn]] void reject_value(const std::string& accepted) const;

private:
    template <typename T>
    std::vector<T> typed_array(napi_typedarray_type type) const;
    [[noreturn]] void reject_choice(const std::vector<std::string_view>& accepted) const;

    Napi::Value value_;
    std::string path_;
};

}  // namespace dllm::bindings
