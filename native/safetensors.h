// The safetensors file format, read and written strictly: u64 header length, JSON header, tensor bytes without gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mapped_file.h"

namespace dllm {

// Limits a file must keep to. Together they bound what parsing allocates to about the size of the header plus 16 MB.
constexpr uint64_t SAFETENSORS_MAX_HEADER = 100'000'000;  // bytes
constexpr size_t SAFETENSORS_MAX_TENSORS = 65'536;
constexpr size_t SAFETENSORS_MAX_METADATA = 4'096;  // entries
constexpr size_t SAFETENSORS_MAX_RANK = 16;

struct TensorEntry {
    std::string name;
    std::string dtype;           // as in the file: "F32", "BF16", "I32", ...
    std::vector<int64_t> shape;  // empty for a scalar
    uint64_t begin, end;         // byte range in the file
};

struct SafetensorsHeader {
    std::vector<TensorEntry> tensors;  // in the order of their bytes
    std::vector<uint32_t> by_name;     // indices of tensors, sorted by name
    std::map<std::string, std::string> metadata;
};

// Bits of one element; 0 if the format has no such dtype. The known ones are F64 F32 F16 BF16 F8_E4M3 F8_E5M2
// F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ F6_E2M3 F6_E3M2 F4 I64 I32 I16 I8 U64 U32 U16 U8 BOOL C64.
int safetensors_dtype_bits(std::string_view dtype);

// Bytes of a tensor. ERR_CHECKPOINT, starting with `where`, if the dtype is unknown, a dimension is negative, the
// rank or the size is too large, or the elements do not fill whole bytes.
uint64_t safetensors_tensor_bytes(std::string_view dtype, std::span<const int64_t> shape, const std::string& where);

// Parses and checks everything but the values. `file` is the whole file; `path` names it in errors (ERR_CHECKPOINT).
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const std::string& path);

class SafetensorsFile {
public:
    // Maps, parses and checks the whole file. ERR_CHECKPOINT names the file, the tensor and the rule it broke.
    explicit SafetensorsFile(const std::string& path);

    std::map<std::string, std::string> metadata;

    const std::string& path() const { return file_.path(); }
    const std::vector<TensorEntry>& tensors() const { return header_.tensors; }  // in the order of their bytes
    const TensorEntry* find(std::string_view name) const;                        // nullptr if there is none

    // The mapped bytes, valid while this object lives. They may lie at any address: read them with memcpy.
    const std::byte* data(const TensorEntry& entry) const;

    // Copies all elements to out; BF16 and F16 are widened. Any other dtype but F32 is ERR_CHECKPOINT.
    void read_f32(const TensorEntry& entry, float* out) const;

private:
    MappedFile file_;
    SafetensorsHeader header_;
};

struct TensorSource {
    std::string name;
    std::string dtype;
    std::vector<int64_t> shape;
    const void* data;  // may be null if the tensor has no elements
};

// Writes the whole file and fsyncs it. Tensors are stored by falling element size, else in the given order, so that
// each is aligned to its elements. ERR_CHECKPOINT on bad input (before the file is touched) and on any failed write,
// with the system's reason; the incomplete file is then removed. Renaming and syncing the folder are the caller's.
void write_safetensors(const std::string& path, std::span<const TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace dllm
