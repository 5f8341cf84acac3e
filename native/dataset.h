// A sequence of tokens: a memory-mapped file of uint16 or uint32, or tokens held in memory.
#pragma once

#include "mapped_file.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dllm {

class Dataset {
public:
    // token_bytes: 2 or 4, little endian. Throws ERR_DATA for a missing file or a size that is not a multiple.
    Dataset(const std::string& path, int token_bytes);
    explicit Dataset(std::vector<int32_t> tokens);

    int64_t size() const { return size_; }
    // Another one than that of every dataset with other tokens that the process has had.
    uint64_t id() const { return id_; }
    // Copies tokens [begin, begin + length). Throws ERR_DATA naming the place of an id outside [0, vocab_size).
    void read(int64_t begin, int64_t length, int64_t vocab_size, int32_t* out) const;

private:
    std::string name_;
    std::optional<MappedFile> file_;
    std::vector<int32_t> tokens_;
    int token_bytes_;
    int64_t size_;
    uint64_t id_;
};

}  // namespace dllm
