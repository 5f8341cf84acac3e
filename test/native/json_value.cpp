// JSON values as a tree, built with the strict reader.
#include <algorithm>

#include "json_value.h"

namespace dllm {
namespace {

bool key_less(const JsonMember& member, std::string_view key) { return member.key < key; }

JsonValue read_value(JsonReader& json) {
    switch (json.peek()) {
        case JsonKind::null: json.read_null(); return {};
        case JsonKind::boolean: return {json.read_boolean()};
        case JsonKind::string: return {json.read_string()};
        case JsonKind::number: {
            const JsonNumber number = json.read_number();
            if (number.is_integer) return {number.integer};
            return {number.value};
        }
        case JsonKind::array: {
            JsonValue::Array elements;
            json.read_array([&] { elements.push_back(read_value(json)); });
            return {std::move(elements)};
        }
        case JsonKind::object: break;
    }
    JsonValue::Object members;
    json.read_object([&](std::string key) { members.push_back({std::move(key), read_value(json)}); });
    std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    const auto twice =
        std::adjacent_find(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.key == b.key; });
    if (twice != members.end()) json.reject("key " + json_quote(twice->key, 100) + " appears twice in the object");
    return {std::move(members)};
}

template <class T>
const T& get(const JsonValue& value, const char* expected) {
    static constexpr const char* FOUND[] = {"null",     "a boolean", "an integer", "a number",
                                            "a string", "an array",  "an object"};
    const T* found = std::get_if<T>(&value.data);
    if (!found)
        fail(ErrorCode::data, std::string("JSON: expected ") + expected + ", found " + FOUND[value.data.index()]);
    return *found;
}

}  // namespace

JsonValue parse_json(std::string_view text, const std::string& source, ErrorCode code, int max_depth) {
    JsonReader json(text, source, code, max_depth);
    JsonValue value = read_value(json);
    json.finish();
    return value;
}

bool JsonValue::boolean() const { return get<bool>(*this, "a boolean"); }
int64_t JsonValue::integer() const { return get<int64_t>(*this, "an integer"); }
const std::string& JsonValue::string() const { return get<std::string>(*this, "a string"); }
const JsonValue::Array& JsonValue::array() const { return get<Array>(*this, "an array"); }
const JsonValue::Object& JsonValue::object() const { return get<Object>(*this, "an object"); }

double JsonValue::number() const {
    if (const int64_t* whole = std::get_if<int64_t>(&data)) return double(*whole);
    return get<double>(*this, "a number");
}

const JsonValue* JsonValue::find(std::string_view key) const {
    const Object& members = object();
    const auto member = std::lower_bound(members.begin(), members.end(), key, key_less);
    return member != members.end() && member->key == key ? &member->value : nullptr;
}

const JsonValue& JsonValue::at(std::string_view key) const {
    const JsonValue* value = find(key);
    if (!value) fail(ErrorCode::data, "JSON: the object has no key " + json_quote(key, 100));
    return *value;
}

}  // namespace dllm
