// Matrix products of a warpgroup; described in native/cuda/hardware/warpgroup.h.
#pragma once

#include <source_location>

#include "../warpgroup.h"
#include "block.h"

namespace dllm::cuda {

template <class T>
T* shared_tiles() {
    return shared_memory<T>();
}

inline void fence_async_proxy() { emulated::fence_async_proxy(); }

template <class... Registers>
void wgmma_fence_operands(Registers&... registers) {
    (emulated::name_registers(&registers, sizeof(registers)), ...);
}

inline void wgmma_fence(std::source_location where = std::source_location::current()) {
    emulated::fence_registers(where);
}

inline void wgmma_commit(std::source_location where = std::source_location::current()) {
    emulated::commit_products(where);
}

template <int N>
void wgmma_wait(std::source_location where = std::source_location::current()) {
    static_assert(N >= 0);
    emulated::wait_for_products(N, where);
}

enum class Major { k, mn };

template <Major B, int TILES>
void wgmma_bf16(float (&d)[TILES][4], const unsigned (&a)[4], uint64_t b, bool add,
                std::source_location where = std::source_location::current()) {
    static_assert(TILES == 4 || TILES == 8 || TILES == 16);
    emulated::issue_product({d[0], TILES, a, 0, b, B == Major::k, add}, where);
}

template <Major B>
void wgmma_bf16(float (&d)[4][4], uint64_t a, uint64_t b, bool add,
                std::source_location where = std::source_location::current()) {
    emulated::issue_product({d[0], 4, nullptr, a, b, B == Major::k, add}, where);
}

}  // namespace dllm::cuda
