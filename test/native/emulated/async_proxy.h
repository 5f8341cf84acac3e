// What the async proxy, by which wgmma reads, sees of a block's shared memory: what lay there at the last barrier
// before which every thread had fenced, after its last copy had landed.
#pragma once

#include <cstddef>
#include <vector>

namespace dllm::emulated {

class SharedMemory;

class AsyncProxy {
public:
    void begin_block(int threads);
    void fence(int thread);
    void copy_landed(int thread);
    void pass_barrier(const SharedMemory& shared);
    // Whether it sees what the threads see at this address in shared memory.
    bool sees(const SharedMemory& shared, const std::byte* at, size_t bytes) const;

private:
    std::vector<char> fenced_;  // of each thread, since the last barrier
    size_t fences_ = 0;
    std::vector<std::byte> seen_;
};

}  // namespace dllm::emulated
