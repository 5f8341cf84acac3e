// In which order blocks, warps and lanes get their turns.
#pragma once

#include "emulated.h"

#include <cstdint>
#include <vector>

namespace dllm::emulated {

class ThreadOrder {
public:
    ThreadOrder() = default;
    // For one launch of so many blocks. `random` is the state of the generator, advanced by every choice.
    ThreadOrder(Order order, uint64_t* random, int64_t blocks);

    // Which block is the i-th.
    int64_t block(int64_t i) const;
    // The numbers 0 … count − 1 in their order.
    void arrange(std::vector<int>& numbers, int count);
    // One of the lanes in the set, which is not empty.
    int pick(unsigned lanes);

private:
    uint64_t draw();

    Order order_ = Order::ascending;
    uint64_t* random_ = nullptr;
    int64_t blocks_ = 0, first_ = 0, stride_ = 1;
};

}  // namespace dllm::emulated
