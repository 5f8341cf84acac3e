// The strict JSON reader.
#include "json.h"

#include <algorithm>
#include <charconv>

#include "utf8.h"

namespace dllm {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

const char* json_kind_name(JsonKind kind) {
    static constexpr const char* NAMES[] = {"null", "a boolean", "a number", "a string", "an array", "an object"};
    return NAMES[size_t(kind)];
}

std::string json_quote(std::string_view text, size_t max_bytes) {
    static constexpr char HEX[] = "0123456789abcdef";
    size_t end = std::min(text.size(), max_bytes);
    while (end > 0 && end < text.size() && (uint8_t(text[end]) & 0xC0) == 0x80) end--;  // never inside a character
    std::string out = "\"";
    for (const char c : text.substr(0, end)) {
        if (c == '"' || c == '\\') out += '\\';
        if (uint8_t(c) >= 0x20) {
            out += c;
        } else {
            out += "\\u00";
            out += HEX[c >> 4];
            out += HEX[c & 15];
        }
    }
    return out += end < text.size() ? "...\"" : "\"";
}

void JsonReader::reject(const std::string& rule) const {
    fail(code_, source_ + ": JSON byte " + std::to_string(position_) + ": " + rule);
}

void JsonReader::skip_space() {
    while (position_ < text_.size() && std::string_view(" \t\n\r").find(text_[position_]) != std::string_view::npos) {
        position_++;
    }
}

bool JsonReader::take(char c) {
    skip_space();
    const bool found = position_ < text_.size() && text_[position_] == c;
    position_ += found;
    return found;
}

void JsonReader::expect(char c) {
    if (!take(c)) reject(std::string("expected '") + c + "'" + (position_ == text_.size() ? " but the text ends" : ""));
}

void JsonReader::open(char bracket) {
    expect(bracket);
    if (++depth_ > max_depth_) reject("nested deeper than " + std::to_string(max_depth_) + " levels");
}

void JsonReader::finish() {
    skip_space();
    if (position_ != text_.size()) reject("text after the end of the value");
}

JsonKind JsonReader::peek() {
    skip_space();
    if (position_ == text_.size()) reject("expected a value but the text ends");
    const char c = text_[position_];
    switch (c) {
        case '{': return JsonKind::object;
        case '[': return JsonKind::array;
        case '"': return JsonKind::string;
        case 't':
        case 'f': return JsonKind::boolean;
        case 'n': return JsonKind::null;
        default: break;
    }
    if (c != '-' && !is_digit(c)) reject("expected a value");
    return JsonKind::number;
}

void JsonReader::read_word(std::string_view word) {
    skip_space();
    if (text_.substr(position_, word.size()) != word) reject("expected " + std::string(word));
    position_ += word.size();
}

bool JsonReader::read_boolean() {
    skip_space();
    const bool value = position_ < text_.size() && text_[position_] == 't';
    read_word(value ? "true" : "false");
    return value;
}

JsonNumber JsonReader::read_number() {
    skip_space();
    const size_t begin = position_;
    const auto digits = [&] {
        const size_t first = position_;
        while (position_ < text_.size() && is_digit(text_[position_])) position_++;
        if (position_ == first) reject("expected a digit");
        return position_ - first;
    };
    const auto next_is = [&](char a, char b) {
        return position_ < text_.size() && (text_[position_] == a || text_[position_] == b);
    };
    if (next_is('-', '-')) position_++;
    const bool zero = next_is('0', '0');
    if (digits() > 1 && zero) reject("a number must not start with 0");
    bool integral = true;
    if (next_is('.', '.')) {
        integral = false;
        position_++;
        digits();
    }
    if (next_is('e', 'E')) {
        integral = false;
        position_++;
        if (next_is('+', '-')) position_++;
        digits();
    }
    JsonNumber number{text_.substr(begin, position_ - begin), false, 0, 0.0};
    const char *first = number.text.data(), *last = first + number.text.size();
    if (integral && number.text != "-0") {
        number.is_integer = std::from_chars(first, last, number.integer).ec == std::errc();
    }
    if (std::from_chars(first, last, number.value).ec != std::errc())
        reject("the number is outside the range of double");
    return number;
}

uint32_t JsonReader::read_hex4() {
    uint32_t value = 0;
    const char* first = text_.data() + position_;
    const size_t length = std::min<size_t>(4, text_.size() - position_);
    if (length < 4 || std::from_chars(first, first + 4, value, 16).ptr != first + 4)
        reject("\\u needs four hex digits");
    position_ += 4;
    return value;
}

// The escape after a backslash.
void JsonReader::read_escape(std::string& out) {
    static constexpr std::string_view LETTERS = "\"\\/bfnrt", BYTES = "\"\\/\b\f\n\r\t";
    const char c = text_[position_++];
    if (const size_t index = LETTERS.find(c); index != std::string_view::npos) {
        out += BYTES[index];
        return;
    }
    if (c != 'u') reject("unknown escape in a string");
    uint32_t code_point = read_hex4();
    if (code_point >= 0xD800 && code_point <= 0xDFFF) {
        const bool paired = code_point < 0xDC00 && text_.substr(position_, 2) == "\\u";
        position_ += paired ? 2 : 0;
        const uint32_t low = paired ? read_hex4() : 0;
        if (low < 0xDC00 || low > 0xDFFF) reject("lone surrogate in a string");
        code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(out, code_point);
}

std::string JsonReader::read_string() {
    expect('"');
    size_t end = position_;
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) reject("the string has no end");
    std::string out;
    out.reserve(end - position_);  // decoding never grows a string; doubling as it grows would take twice the memory
    while (position_ < end) {
        const char c = text_[position_];
        if (c == '\\') {
            position_++;
            read_escape(out);
            continue;
        }
        if (uint8_t(c) < 0x20) reject("control character in a string");
        const size_t length = utf8_sequence_length(text_.substr(position_, end - position_));
        if (length == 0) reject("the string is not valid UTF-8");
        out.append(text_, position_, length);
        position_ += length;
    }
    expect('"');
    return out;
}

}  // namespace dllm
