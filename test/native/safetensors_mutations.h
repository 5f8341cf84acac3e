// Random safetensors files for the fuzz test: valid ones, and ways to break them that follow their structure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rng.h"
#include "safetensors.h"
#include "safetensors_files.h"

namespace dllm::safetensors_test {

class Random {
public:
    Random(uint64_t seed, uint64_t run) : key_(philox_key(seed, run)) {}

    uint64_t bits() {
        const PhiloxBlock block = philox(key_, {{count_++, 0, 0, 0}});
        return uint64_t(block.words[0]) << 32 | block.words[1];
    }
    size_t below(size_t limit) { return size_t(bits() % limit); }
    bool chance(size_t one_in) { return below(one_in) == 0; }
    template <class List>
    auto pick(const List& list) {
        return *(std::begin(list) + std::ptrdiff_t(below(std::size(list))));
    }

private:
    PhiloxKey key_;
    uint32_t count_ = 0;
};

struct Field {
    std::string key, value;  // JSON text
};

// A file as the parts that a mutation may change.
struct Draft {
    std::vector<std::pair<std::string, std::vector<Field>>> entries;  // name as JSON text, fields
    std::string metadata;                                             // JSON text, empty for none
    std::string padding, data;
};

inline const char* const DTYPES[] = {"F32", "F16",  "BF16",    "F64", "I64",     "I32",
                                     "U8",  "BOOL", "F8_E4M3", "F4",  "F6_E2M3", "C64"};

inline std::string list_text(const std::vector<int64_t>& numbers) {
    std::string text = "[";
    for (size_t i = 0; i < numbers.size(); i++) text += (i > 0 ? "," : "") + std::to_string(numbers[i]);
    return text + "]";
}

inline Draft valid_draft(Random& random) {
    Draft draft;
    uint64_t offset = 0;
    for (size_t count = random.below(6); count > 0; count--) {
        const std::string dtype = random.pick(DTYPES);
        std::vector<int64_t> shape(random.below(4));
        for (int64_t& size : shape) size = int64_t(random.below(5));
        if (safetensors_dtype_bits(dtype) < 8) shape.push_back(4);  // whole bytes
        const uint64_t end = offset + safetensors_tensor_bytes(dtype, shape, "draft");
        draft.entries.push_back({"\"t" + std::to_string(count) + (random.chance(4) ? "\\u00e9\"" : "\""),
                                 {{"\"dtype\"", "\"" + dtype + "\""},
                                  {"\"shape\"", list_text(shape)},
                                  {"\"data_offsets\"", list_text({int64_t(offset), int64_t(end)})}}});
        auto& fields = draft.entries.back().second;
        std::swap(fields[0], fields[random.below(3)]);
        offset = end;
    }
    if (draft.entries.size() > 1) std::swap(draft.entries[0], draft.entries[random.below(draft.entries.size())]);
    if (random.chance(2)) draft.metadata = random.chance(2) ? "{}" : "{\"format\":\"pt\",\"k\\n\":\"\"}";
    draft.padding = std::string(random.below(9), ' ');
    for (uint64_t i = 0; i < offset; i++) draft.data += char(random.bits());
    return draft;
}

inline std::vector<std::string> words(const std::string& text) {
    std::istringstream stream(text);
    return {std::istream_iterator<std::string>(stream), {}};
}

inline std::string odd_number(Random& random) {
    static const std::vector<std::string> NUMBERS = words(
        "0 1 2 3 4 8 16 -1 -0 1.0 1e1 01 255 65536 2147483648 4294967296 2305843009213693952 4611686018427387904 "
        "9223372036854775807 9223372036854775808 18446744073709551615 99999999999999999999 1e999 NaN");
    return random.chance(2) ? std::to_string(random.below(64)) : random.pick(NUMBERS);
}

inline std::string odd_value(Random& random) {
    static const std::vector<std::string> VALUES = words(
        "null true {} [] \"\" \"F32\" [[]] [0,0] [0,0,0] [1,\"1\"] {\"a\":1} \"\\ud800\" \"\\uD83D\\uDE00\" "
        "\"\xff\" \"\xc0\x80\" [1,] {,} \" \\");
    switch (random.below(5)) {
        case 0: return odd_number(random);
        case 1: return "[" + odd_number(random) + "," + odd_number(random) + "]";
        case 2: return std::string("\"") + random.pick(DTYPES) + "\"";
        case 3: return std::string(random.below(200), '[') + std::string(random.below(200), ']');
        default: return random.pick(VALUES);
    }
}

// Changes one number inside a JSON text.
inline void change_number(std::string& text, Random& random) {
    const size_t first = text.find_first_of("0123456789", text.empty() ? 0 : random.below(text.size()));
    if (first == std::string::npos) return;
    size_t last = first;
    while (last < text.size() && text[last] >= '0' && text[last] <= '9') last++;
    text.replace(first, last - first, odd_number(random));
}

inline void mutate_entries(Draft& draft, Random& random) {
    if (draft.entries.empty()) return;
    const size_t index = random.below(draft.entries.size());
    auto& [name, fields] = draft.entries[index];
    switch (random.below(10)) {
        case 0: draft.entries.push_back({random.chance(2) ? name : "\"copy\"", fields}); return;
        case 1: draft.entries.erase(draft.entries.begin() + std::ptrdiff_t(index)); return;
        case 2:
            name = random.chance(2) ? draft.entries[random.below(draft.entries.size())].first : odd_value(random);
            return;
        case 3: std::swap(draft.entries[index], draft.entries[random.below(draft.entries.size())]); return;
        default: break;
    }
    if (fields.empty()) return;
    Field& field = fields[random.below(fields.size())];
    switch (random.below(8)) {
        case 0: field.value = odd_value(random); return;
        case 1: field.key = random.chance(2) ? fields[random.below(fields.size())].key : odd_value(random); return;
        case 2: fields.push_back(Field(field)); return;
        case 3: fields.erase(fields.begin() + (&field - fields.data())); return;
        case 4: field.value = fields[random.below(fields.size())].value; return;
        default: change_number(field.value, random); return;
    }
}

inline void mutate_draft(Draft& draft, Random& random) {
    switch (random.below(8)) {
        case 0:
            draft.metadata = random.chance(2) ? odd_value(random) : "{\"a\":" + odd_value(random) + ",\"b\":\"\"}";
            return;
        case 1:
            draft.padding =
                random.pick(std::initializer_list<const char*>{"", "\n", " \t", "}", "{}", "  x", "        "});
            return;
        case 2: draft.data.resize(random.below(draft.data.size() + 9)); return;
        default: mutate_entries(draft, random); return;
    }
}

inline std::string to_bytes(const Draft& draft) {
    std::string header = "{";
    if (!draft.metadata.empty()) header += "\"__metadata__\":" + draft.metadata;
    for (const auto& [name, fields] : draft.entries) {
        header += (header.size() > 1 ? "," : "") + name + ":{";
        for (size_t i = 0; i < fields.size(); i++) header += (i > 0 ? "," : "") + fields[i].key + ":" + fields[i].value;
        header += "}";
    }
    return safetensors_bytes(header + "}" + draft.padding, draft.data);
}

inline void mutate_bytes(std::string& bytes, Random& random) {
    static const uint64_t LENGTHS[] = {
        0, 1, 2, 8, 100'000'000, 100'000'001, uint64_t(1) << 63, ~uint64_t(0), ~uint64_t(0) - 7};
    if (bytes.empty()) return;
    const size_t at = random.below(bytes.size()), count = random.below(std::min<size_t>(bytes.size() - at, 16) + 1);
    switch (random.below(8)) {
        case 0: bytes[at] = char(random.bits()); return;
        case 1: bytes[at] = char(uint8_t(bytes[at]) ^ (1u << random.below(8))); return;
        case 2: bytes.erase(at, count); return;
        case 3: bytes.insert(at, bytes.substr(random.below(bytes.size()), count)); return;
        case 4: bytes.resize(at); return;
        case 5: bytes.insert(at, 1, random.pick(std::string_view("{}[]\",:\\ \n\t0-.e\x80\0", 18))); return;
        case 6: bytes[at] = random.pick(std::string_view("{}[]\",:\\ \n\t0-.e\x80\0", 18)); return;
        default: break;
    }
    if (bytes.size() >= 8) {
        uint64_t length;
        std::memcpy(&length, bytes.data(), 8);
        length = random.chance(2) ? random.pick(LENGTHS) : length + random.below(9) - 4;
        std::memcpy(bytes.data(), &length, 8);
    }
}

}  // namespace dllm::safetensors_test
