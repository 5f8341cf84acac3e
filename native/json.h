// Strict JSON (RFC 8259) for untrusted text: UTF-8 is checked, nesting is limited, errors name the source and the byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "error.h"

namespace dllm {

enum class JsonKind { null, boolean, number, string, array, object };

const char* json_kind_name(JsonKind kind);

struct JsonNumber {
    std::string_view text;  // as written
    bool is_integer;        // no fraction, no exponent, not -0, and within int64
    int64_t integer;        // 0 if not is_integer
    double value;
};

// Pulls values out of the text in order. It keeps nothing, so memory is bounded by what the caller keeps.
class JsonReader {
public:
    // Errors carry `code` and start with `source`, usually the path of the file. `text` must outlive the reader.
    JsonReader(std::string_view text, std::string source, ErrorCode code, int max_depth = 64)
        : text_(text), source_(std::move(source)), code_(code), max_depth_(max_depth) {}

    // The kind of the next value, which stays unread.
    JsonKind peek();

    void read_null() { read_word("null"); }
    bool read_boolean();
    JsonNumber read_number();
    std::string read_string();

    // Calls on_member(std::string key) for each member; it must read exactly one value. Repeated keys are its concern.
    template <class OnMember>
    void read_object(OnMember on_member) {
        open('{');
        if (!take('}')) {
            do {
                if (peek() != JsonKind::string) reject("a key must be a string");
                std::string key = read_string();
                expect(':');
                on_member(std::move(key));
            } while (take(','));
            expect('}');
        }
        depth_--;
    }

    // Calls on_element() for each element; it must read exactly one value.
    template <class OnElement>
    void read_array(OnElement on_element) {
        open('[');
        if (!take(']')) {
            do on_element();
            while (take(','));
            expect(']');
        }
        depth_--;
    }

    // Only white space may be left.
    void finish();

    [[noreturn]] void reject(const std::string& rule) const;

private:
    void skip_space();
    bool take(char c);
    void expect(char c);
    void open(char bracket);
    void read_word(std::string_view word);
    void read_escape(std::string& out);
    uint32_t read_hex4();

    std::string_view text_;
    std::string source_;
    ErrorCode code_;
    int max_depth_;
    int depth_ = 0;
    size_t position_ = 0;
};

// The text as a JSON string, cut after max_bytes (for error messages).
std::string json_quote(std::string_view text, size_t max_bytes = std::string_view::npos);

}  // namespace dllm
