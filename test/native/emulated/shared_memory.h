// The shared memory of the one block that runs at a time.
#pragma once

#include <cstddef>
#include <string>

namespace dllm::emulated {

// Where a block's shared memory begins in the window of shared addresses, as on devices that reserve 1 KB of it.
inline constexpr size_t SHARED_WINDOW_BEGIN = 1024;

class SharedMemory {
public:
    SharedMemory();
    ~SharedMemory();
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;

    // What a block with so many bytes finds: NaN, and guards at both ends.
    void prepare(size_t bytes);
    // Describes a write past the ends, or is empty. To be prepared anew after damage.
    std::string find_damage() const;

    std::byte* begin() const { return begin_; }
    size_t bytes() const { return bytes_; }

private:
    std::byte* mapping_;
    std::byte* begin_;
    size_t bytes_ = 0;
};

}  // namespace dllm::emulated
