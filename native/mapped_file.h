// A regular file mapped read-only into memory. Pages load on first use, nothing is copied.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "error.h"

namespace dllm {

// The file must not be cut short while it is mapped: the system kills a process that reads a page past the end.
class MappedFile {
public:
    // Errors (missing, unreadable, not a regular file) carry `code` and name the path.
    MappedFile(const std::string& path, ErrorCode code);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    ~MappedFile();

    std::span<const std::byte> bytes() const { return {data_, size_}; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
    const std::byte* data_ = nullptr;  // stays null for an empty file
    size_t size_ = 0;
};

}  // namespace dllm
