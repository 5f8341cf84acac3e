// Strict conversion of arguments: see field.h.
#include "field.h"

#include "errors.h"

#include <cmath>
#include <limits>

namespace dllm::bindings {
namespace {

constexpr int64_t MAX_SAFE_INTEGER = (int64_t(1) << 53) - 1;
constexpr size_t LONGEST_SHOWN = 60;

const char* typed_array_name(napi_typedarray_type type) {
    switch (type) {
        case napi_int8_array: return "an Int8Array";
        case napi_uint8_array: return "a Uint8Array";
        case napi_uint8_clamped_array: return "a Uint8ClampedArray";
        case napi_int16_array: return "an Int16Array";
        case napi_uint16_array: return "a Uint16Array";
        case napi_int32_array: return "an Int32Array";
        case napi_uint32_array: return "a Uint32Array";
        case napi_float32_array: return "a Float32Array";
        case napi_float64_array: return "a Float64Array";
        case napi_bigint64_array: return "a BigInt64Array";
        case napi_biguint64_array: return "a BigUint64Array";
        default: return "another typed array";
    }
}

std::string describe(const Napi::Value& value) {
    switch (value.Type()) {
        case napi_undefined: return "undefined";
        case napi_null: return "null";
        case napi_boolean: return value.As<Napi::Boolean>().Value() ? "true" : "false";
        case napi_number: return value.ToString().Utf8Value();
        case napi_string: {
            const std::u16string text = value.As<Napi::String>().Utf16Value();
            if (text.size() > LONGEST_SHOWN) return "a string of " + std::to_string(text.size()) + " characters";
            return "'" + value.As<Napi::String>().Utf8Value() + "'";
        }
        case napi_symbol: return "a symbol";
        case napi_function: return "a function";
        case napi_bigint: return "a bigint";
        default: break;
    }
    if (value.IsArray()) return "an array";
    if (value.IsTypedArray()) return typed_array_name(value.As<Napi::TypedArray>().TypedArrayType());
    return "an object";
}

}  // namespace

void Field::reject_type(const std::string& accepted) const {
    throw TypeMismatch(path_ + " must be " + accepted + ", got " + describe(value_));
}

void Field::reject_value(const std::string& accepted) const {
    fail(ErrorCode::config, path_ + " must be " + accepted + ", got " + describe(value_));
}

void Field::reject_choice(const std::vector<std::string_view>& accepted) const {
    std::string list;
    for (size_t i = 0; i < accepted.size(); i++) {
        if (i > 0) list += i + 1 == accepted.size() ? " or " : ", ";
        list += "'" + std::string(accepted[i]) + "'";
    }
    reject_value(list);
}

Field Field::operator[](const char* key) const {
    if (!value_.IsObject() || value_.IsFunction()) reject_type("an object");
    return {value_.As<Napi::Object>().Get(key), path_ + "." + key};
}

uint32_t Field::length() const {
    if (!value_.IsArray()) reject_type("an array");
    return value_.As<Napi::Array>().Length();
}

Field Field::operator[](uint32_t index) const {
    return {value_.As<Napi::Object>().Get(index), path_ + "[" + std::to_string(index) + "]"};
}

bool Field::boolean() const {
    if (!value_.IsBoolean()) reject_type("a boolean");
    return value_.As<Napi::Boolean>().Value();
}

int64_t Field::integer(int64_t minimum, int64_t maximum) const {
    const std::string accepted = "an integer from " + std::to_string(minimum) + " to " + std::to_string(maximum);
    if (!value_.IsNumber()) reject_type(accepted);
    const double number = value_.As<Napi::Number>().DoubleValue();
    if (!(number >= double(minimum) && number <= double(maximum)) || number != std::floor(number))
        reject_value(accepted);
    return int64_t(number);
}

uint64_t Field::seed() const { return uint64_t(integer(0, MAX_SAFE_INTEGER)); }

double Field::number() const {
    if (!value_.IsNumber()) reject_type("a finite number");
    const double number = value_.As<Napi::Number>().DoubleValue();
    if (!std::isfinite(number)) reject_value("a finite number");
    return number;
}

float Field::single() const {
    const double value = number();
    if (std::abs(value) > double(std::numeric_limits<float>::max())) reject_value("a number that fits in 32 bits");
    return float(value);
}

std::string Field::string() const {
    if (!value_.IsString()) reject_type("a string");
    return value_.As<Napi::String>().Utf8Value();
}

std::string Field::path_name() const {
    std::string name = string();
    if (name.empty() || name.find('\0') != std::string::npos) reject_value("a path without NUL characters");
    return name;
}

template <typename T>
std::vector<T> Field::typed_array(napi_typedarray_type type) const {
    const auto accepted = typed_array_name(type);
    if (!value_.IsTypedArray() || value_.As<Napi::TypedArray>().TypedArrayType() != type) reject_type(accepted);
    const auto array = value_.As<Napi::TypedArrayOf<T>>();
    if (array.ArrayBuffer().IsDetached()) {
        fail(ErrorCode::config,
             path_ + " must be " + accepted + " with its memory; its buffer has been transferred away");
    }
    return std::vector<T>(array.Data(), array.Data() + array.ElementLength());
}

std::vector<int32_t> Field::int32s() const { return typed_array<int32_t>(napi_int32_array); }
std::vector<float> Field::floats() const { return typed_array<float>(napi_float32_array); }
std::vector<uint8_t> Field::bytes() const { return typed_array<uint8_t>(napi_uint8_array); }

}  // namespace dllm::bindings
