// A whole JSON text as a tree, built with the reader that the product uses on untrusted headers.
#pragma once

#include "json.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dllm {

struct JsonMember;

// A parsed value. The accessors throw ERR_DATA when the value is of another kind or the key is missing.
struct JsonValue {
    using Array = std::vector<JsonValue>;
    using Object = std::vector<JsonMember>;  // sorted by key

    std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object> data = nullptr;

    bool is_null() const { return std::holds_alternative<std::nullptr_t>(data); }
    bool boolean() const;
    int64_t integer() const;
    double number() const;  // integers too
    const std::string& string() const;
    const Array& array() const;
    const Object& object() const;

    const JsonValue* find(std::string_view key) const;  // nullptr if the object has no such key
    const JsonValue& at(std::string_view key) const;
};

struct JsonMember {
    std::string key;
    JsonValue value;
};

// Parses a whole text; repeated keys are an error. The tree may take about 100 bytes for each byte of text.
JsonValue parse_json(std::string_view text, const std::string& source, ErrorCode code = ErrorCode::data,
                     int max_depth = 64);

}  // namespace dllm
