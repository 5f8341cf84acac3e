// Products of a warpgroup that one of its warps has under way: rows 16 i ... 16 i + 15 of its sums.
#pragma once

#include "threads.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace dllm::emulated {

// d (rows, 8 tiles) (+)= a (rows, 16) b (16, 8 tiles), as a lane passes it: a in registers, or null and by descriptor.
struct LaneProduct {
    float* d;
    int tiles;
    const unsigned* a;
    uint64_t a_descriptor, b_descriptor;
    bool b_is_k_major, adds;
};

// They are computed at their wait, the latest moment that the hardware allows. Until then sums are NaN, and the
// registers and the shared memory that they read must stay as they are at the issue: what changes is a fault.
class WarpProducts {
public:
    static constexpr int LANES = 32;

    void issue(const Lanes& lanes, int first_row);
    void commit() { group_++; }
    // Computes all groups but the latest `pending`. landed(lane, d, tiles) for each lane's sums that are complete.
    template <class Landed>
    void complete(int pending, const Landed& landed);
    bool writes(int lane, const void* registers, size_t bytes) const;
    bool none() const { return products_.empty(); }

private:
    struct Sums {
        float* lanes[LANES];
        int tiles, products;
        std::vector<float> values;  // (16, 8 tiles)
    };
    struct Product {
        LaneProduct call;  // of lane 0
        const unsigned* a[LANES];
        int first_row, group;
        Sums* sums;
        std::vector<uint16_t> a_values, b_values;  // (16, 16) and (16, 8 tiles), as they were at the issue
    };

    static std::vector<uint16_t> read_a(const Product& product);
    static std::vector<uint16_t> read_b(const Product& product);
    static void compute(const Product& product);
    static void finish(const Sums& sums);

    int group_ = 0;
    std::vector<Product> products_;
    std::map<float*, Sums> sums_;  // that products under way write, by the registers of lane 0
};

template <class Landed>
void WarpProducts::complete(int pending, const Landed& landed) {
    std::erase_if(products_, [&](const Product& product) {
        if (product.group >= group_ - pending) return false;
        compute(product);
        product.sums->products--;
        return true;
    });
    std::erase_if(sums_, [&](const auto& entry) {
        const Sums& sums = entry.second;
        if (sums.products > 0) return false;
        finish(sums);
        for (int lane = 0; lane < LANES; lane++) landed(lane, sums.lanes[lane], sums.tiles);
        return true;
    });
}

}  // namespace dllm::emulated
