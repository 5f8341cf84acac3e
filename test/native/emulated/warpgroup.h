// The calls of a warpgroup: each warp does its part by itself, and that all four do the same is checked.
#pragma once

#include "tensor_core.h"
#include "warp_products.h"

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace dllm::emulated {

// For the running thread.
void fence_async_proxy();
// Registers that the next fence_registers orders; a fault where a product is still to write them.
void name_registers(const void* registers, size_t bytes);
void fence_registers(const std::source_location& where);
void issue_product(const LaneProduct& product, const std::source_location& where);
void commit_products(const std::source_location& where);
void wait_for_products(int pending, const std::source_location& where);

// The state behind them, of one block.
class Warpgroups {
public:
    static constexpr int LANES = 32, WARPS = 4;

    void begin_block(int threads);
    // What is left undone at the block's end, or is empty.
    std::string find_unfinished() const;

    // A call of a warp, with the descriptors that all warps of its warpgroup must pass.
    struct Call {
        Instruction instruction;
        uint64_t a_descriptor, b_descriptor;
    };
    void enter(int warp, const Call& call);

    WarpProducts& products(int warp) { return products_[size_t(warp)]; }
    void name_registers(int thread, const void* registers, size_t bytes);
    void fence_registers(int thread);
    // Whether these registers have been fenced and are as they were then.
    bool are_fenced(int thread, const void* registers, size_t bytes) const;
    void forget_registers(int thread, const void* registers, size_t bytes);

private:
    struct Named {
        std::vector<std::byte> bytes;
        bool is_fenced;
    };

    int threads_ = 0;
    bool used_ = false;
    std::vector<WarpProducts> products_;                        // of each warp
    std::vector<std::map<const std::byte*, Named>> registers_;  // of each thread
    std::vector<std::vector<Call>> calls_;                      // of each warpgroup
    std::vector<size_t> made_;                                  // calls of each warp
};

}  // namespace dllm::emulated
