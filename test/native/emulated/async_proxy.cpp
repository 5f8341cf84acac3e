// AsyncProxy: see async_proxy.h.
#include "async_proxy.h"

#include "shared_memory.h"

#include <algorithm>
#include <cstring>

namespace dllm::emulated {

void AsyncProxy::begin_block(int threads) {
    fenced_.assign(size_t(threads), 0);
    fences_ = 0;
    seen_.clear();
}

void AsyncProxy::fence(int thread) {
    fences_ += fenced_[size_t(thread)] == 0;
    fenced_[size_t(thread)] = 1;
}

void AsyncProxy::copy_landed(int thread) {
    fences_ -= fenced_[size_t(thread)] != 0;
    fenced_[size_t(thread)] = 0;
}

void AsyncProxy::pass_barrier(const SharedMemory& shared) {
    if (fences_ == 0) return;
    if (fences_ == fenced_.size()) seen_.assign(shared.begin(), shared.begin() + shared.bytes());
    std::fill(fenced_.begin(), fenced_.end(), char(0));
    fences_ = 0;
}

bool AsyncProxy::sees(const SharedMemory& shared, const std::byte* at, size_t bytes) const {
    return !seen_.empty() && std::memcmp(seen_.data() + (at - shared.begin()), at, bytes) == 0;
}

}  // namespace dllm::emulated
