// The strict safetensors reader: every rule of the format is checked before a byte of tensor data is used.
#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <tuple>
#include <utility>

#include "half.h"
#include "json.h"
#include "safetensors.h"

namespace dllm {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is read in place as little endian");

constexpr size_t LENGTH_BYTES = 8;

[[noreturn]] void reject(const std::string& where, const std::string& rule) {
    fail(ErrorCode::checkpoint, where + ": " + rule);
}

std::string tensor_label(const std::string& path, std::string_view name) {
    return path + ": tensor " + json_quote(name, 100);
}

uint64_t header_length(std::span<const std::byte> file) {
    uint64_t length;
    std::memcpy(&length, file.data(), LENGTH_BYTES);
    return length;
}

// The JSON text of the header without its padding.
std::string_view header_text(std::span<const std::byte> file, const std::string& path) {
    if (file.size() < LENGTH_BYTES) {
        reject(path, "the file has " + std::to_string(file.size()) + " bytes, too few for a safetensors header");
    }
    const uint64_t length = header_length(file);
    if (length > SAFETENSORS_MAX_HEADER) {
        reject(path, "header length " + std::to_string(length) + " exceeds " + std::to_string(SAFETENSORS_MAX_HEADER));
    }
    if (length > file.size() - LENGTH_BYTES) {
        reject(path, "header length " + std::to_string(length) + " exceeds the file of " + std::to_string(file.size()) +
                         " bytes");
    }
    std::string_view text(reinterpret_cast<const char*>(file.data()) + LENGTH_BYTES, length);
    if (!text.starts_with('{')) reject(path, "the header must start with '{'");
    text = text.substr(0, text.find_last_not_of(' ') + 1);
    if (!text.ends_with('}')) reject(path, "the header must end with '}', padded with spaces only");
    return text;
}

void expect_kind(JsonReader& json, JsonKind expected, const std::string& where, const std::string& what) {
    const JsonKind found = json.peek();
    if (found == expected) return;
    reject(where, what + "must be " + json_kind_name(expected) + ", found " + json_kind_name(found));
}

int64_t read_size(JsonReader& json, const std::string& where, const char* field) {
    const auto reject_value = [&](std::string_view found) {
        reject(where, std::string(field) + " takes integers from 0 to 2^63 - 1, found " + std::string(found));
    };
    const JsonKind kind = json.peek();
    if (kind != JsonKind::number) reject_value(json_kind_name(kind));
    const JsonNumber number = json.read_number();
    if (!number.is_integer || number.integer < 0) reject_value(number.text.substr(0, 40));
    return number.integer;
}

// A list of sizes, at most `limit` long.
std::vector<int64_t> read_sizes(JsonReader& json, const std::string& where, const char* field, size_t limit) {
    expect_kind(json, JsonKind::array, where, std::string(field) + " ");
    int64_t sizes[SAFETENSORS_MAX_RANK];
    size_t count = 0;
    json.read_array([&] {
        if (count == limit) reject(where, std::string(field) + " has more than " + std::to_string(limit) + " elements");
        sizes[count++] = read_size(json, where, field);
    });
    return {sizes, sizes + count};  // one allocation of the exact size
}

// One entry; its byte range still counts from the start of the data.
TensorEntry read_entry(JsonReader& json, std::string name, const std::string& path) {
    const std::string where = tensor_label(path, name);
    TensorEntry entry{std::move(name), {}, {}, 0, 0};
    bool has_dtype = false, has_shape = false, has_offsets = false;
    const auto once = [&](bool& seen, const std::string& key) {
        if (std::exchange(seen, true)) reject(where, "duplicate key " + json_quote(key));
    };
    expect_kind(json, JsonKind::object, where, "");
    json.read_object([&](const std::string& key) {
        if (key == "dtype") {
            once(has_dtype, key);
            expect_kind(json, JsonKind::string, where, "dtype ");
            entry.dtype = json.read_string();
        } else if (key == "shape") {
            once(has_shape, key);
            entry.shape = read_sizes(json, where, "shape", SAFETENSORS_MAX_RANK);
        } else if (key == "data_offsets") {
            once(has_offsets, key);
            const std::vector<int64_t> range = read_sizes(json, where, "data_offsets", 2);
            if (range.size() != 2) reject(where, "data_offsets has fewer than 2 elements");
            entry.begin = uint64_t(range[0]);
            entry.end = uint64_t(range[1]);
        } else {
            reject(where, "unknown key " + json_quote(key, 100) + ", expected dtype, shape and data_offsets");
        }
    });
    if (!has_dtype) reject(where, "dtype is missing");
    if (!has_shape) reject(where, "shape is missing");
    if (!has_offsets) reject(where, "data_offsets is missing");

    const uint64_t bytes = safetensors_tensor_bytes(entry.dtype, entry.shape, where);
    if (entry.end < entry.begin) reject(where, "data_offsets end before they begin");
    if (entry.end - entry.begin != bytes) {
        reject(where, "data_offsets span " + std::to_string(entry.end - entry.begin) +
                          " bytes, but shape and dtype take " + std::to_string(bytes));
    }
    return entry;
}

std::map<std::string, std::string> read_metadata(JsonReader& json, const std::string& path) {
    const std::string where = path + ": __metadata__";
    std::map<std::string, std::string> metadata;
    expect_kind(json, JsonKind::object, where, "");
    json.read_object([&](std::string key) {
        const std::string label = json_quote(key, 100);
        expect_kind(json, JsonKind::string, where, "the value of " + label + " ");
        if (!metadata.try_emplace(std::move(key), json.read_string()).second) reject(where, "duplicate key " + label);
        if (metadata.size() > SAFETENSORS_MAX_METADATA) {
            reject(where, "more than " + std::to_string(SAFETENSORS_MAX_METADATA) + " entries");
        }
    });
    return metadata;
}

// Given in the order of their offsets, each tensor must begin where the one before ended and the last must end with
// the file. Moves the byte ranges from the data to the file.
void check_layout(std::vector<TensorEntry>& tensors, uint64_t data_begin, uint64_t data_bytes,
                  const std::string& path) {
    uint64_t previous_end = 0;
    for (TensorEntry& entry : tensors) {
        if (entry.begin != previous_end) {
            reject(tensor_label(path, entry.name), std::string(entry.begin < previous_end ? "overlap" : "hole") +
                                                       ": data_offsets begin at " + std::to_string(entry.begin) +
                                                       ", but the previous tensor ends at " +
                                                       std::to_string(previous_end));
        }
        if (entry.end > data_bytes) {
            reject(tensor_label(path, entry.name), "data_offsets end at " + std::to_string(entry.end) +
                                                       ", but the file has " + std::to_string(data_bytes) +
                                                       " data bytes");
        }
        previous_end = entry.end;
        entry.begin += data_begin;
        entry.end += data_begin;
    }
    if (previous_end != data_bytes) {
        reject(path, "the tensors end at " + std::to_string(previous_end) + ", but the file has " +
                         std::to_string(data_bytes) + " data bytes");
    }
}

std::vector<uint32_t> sort_by_name(const std::vector<TensorEntry>& tensors, const std::string& path) {
    std::vector<uint32_t> order(tensors.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return tensors[a].name < tensors[b].name; });
    const auto twice = std::adjacent_find(order.begin(), order.end(),
                                          [&](uint32_t a, uint32_t b) { return tensors[a].name == tensors[b].name; });
    if (twice != order.end()) reject(tensor_label(path, tensors[*twice].name), "duplicate key in the header");
    return order;
}

template <class Widen>
void widen_all(float* out, const std::byte* in, size_t count, Widen widen) {
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        std::memcpy(&bits, in + 2 * i, sizeof bits);
        out[i] = widen(bits);
    }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const std::string& path) {
    const std::string_view text = header_text(file, path);
    SafetensorsHeader header;
    bool has_metadata = false;
    JsonReader json(text, path + ": header", ErrorCode::checkpoint);
    json.read_object([&](std::string key) {
        if (key == "__metadata__") {
            if (std::exchange(has_metadata, true)) reject(path, "duplicate key \"__metadata__\" in the header");
            header.metadata = read_metadata(json, path);
            return;
        }
        if (header.tensors.size() == SAFETENSORS_MAX_TENSORS) {
            reject(path, "more than " + std::to_string(SAFETENSORS_MAX_TENSORS) + " tensors");
        }
        header.tensors.push_back(read_entry(json, std::move(key), path));
    });
    json.finish();

    const uint64_t data_begin = LENGTH_BYTES + header_length(file);
    std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
        return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    });
    header.by_name = sort_by_name(header.tensors, path);  // first: a repeated name should not be called an overlap
    check_layout(header.tensors, data_begin, file.size() - data_begin, path);
    return header;
}

SafetensorsFile::SafetensorsFile(const std::string& path)
    : file_(path, ErrorCode::checkpoint), header_(parse_safetensors_header(file_.bytes(), path)) {
    metadata = std::move(header_.metadata);
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
    const auto& order = header_.by_name;
    const auto found = std::lower_bound(order.begin(), order.end(), name, [&](uint32_t index, std::string_view wanted) {
        return header_.tensors[index].name < wanted;
    });
    if (found == order.end() || header_.tensors[*found].name != name) return nullptr;
    return &header_.tensors[*found];
}

const std::byte* SafetensorsFile::data(const TensorEntry& entry) const {
    const std::span<const std::byte> bytes = file_.bytes();
    if (entry.begin > entry.end || entry.end > bytes.size()) {
        fail(ErrorCode::native, tensor_label(path(), entry.name) + ": the entry is not of this file");
    }
    return bytes.data() + entry.begin;
}

void SafetensorsFile::read_f32(const TensorEntry& entry, float* out) const {
    const std::byte* in = data(entry);
    const size_t bytes = entry.end - entry.begin;
    if (entry.dtype == "F32") {
        if (bytes > 0) std::memcpy(out, in, bytes);  // out may be null for no elements
    } else if (entry.dtype == "BF16") {
        widen_all(out, in, bytes / 2, widen_bf16);
    } else if (entry.dtype == "F16") {
        widen_all(out, in, bytes / 2, widen_f16);
    } else {
        reject(tensor_label(path(), entry.name), "dtype is " + entry.dtype + ", accepted are F32, BF16 and F16");
    }
}

}  // namespace dllm
