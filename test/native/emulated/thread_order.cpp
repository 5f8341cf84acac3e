// The three orders.
#include "thread_order.h"

#include <bit>
#include <numeric>
#include <utility>

namespace dllm::emulated {

ThreadOrder::ThreadOrder(Order order, uint64_t* random, int64_t blocks)
    : order_(order), random_(random), blocks_(blocks) {
    if (order_ != Order::shuffled) return;
    first_ = int64_t(draw() % uint64_t(blocks_));
    // Any stride that has no factor in common with the number of blocks visits each once.
    do {
        stride_ = 1 + int64_t(draw() % uint64_t(blocks_));
    } while (std::gcd(stride_, blocks_) != 1);
}

// splitmix64 (Steele, Lea, Flood, 2014)
uint64_t ThreadOrder::draw() {
    uint64_t z = *random_ += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

int64_t ThreadOrder::block(int64_t i) const {
    if (order_ == Order::ascending) return i;
    if (order_ == Order::descending) return blocks_ - 1 - i;
    int64_t at = first_;
    for (int64_t times = i, step = stride_; times > 0; times /= 2, step = (step + step) % blocks_) {
        if (times % 2 != 0) at = (at + step) % blocks_;  // first + i stride without overflow
    }
    return at;
}

void ThreadOrder::arrange(std::vector<int>& numbers, int count) {
    numbers.resize(size_t(count));
    for (int i = 0; i < count; i++) numbers[size_t(i)] = order_ == Order::descending ? count - 1 - i : i;
    if (order_ != Order::shuffled) return;
    for (int i = count - 1; i > 0; i--) std::swap(numbers[size_t(i)], numbers[draw() % uint64_t(i + 1)]);
}

int ThreadOrder::pick(unsigned lanes) {
    if (order_ == Order::ascending) return std::countr_zero(lanes);
    if (order_ == Order::descending) return 31 - std::countl_zero(lanes);
    const int turn = int(draw() % 32);
    return (turn + std::countr_zero(std::rotr(lanes, turn))) % 32;
}

}  // namespace dllm::emulated
