// Products that differ in the number of rows of the batch alone, and what a trial of one says about another.
#pragma once

#include "matmul_product.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <tuple>
#include <vector>

namespace dllm::cuda {

// The rows of the batch are the depth of a weight gradient, whose a is transposed, and else the rows of out.
inline int64_t& batch_rows(MatmulKey& key) { return key.right_transposed ? key.k : key.n; }
inline int64_t batch_rows(const MatmulKey& key) { return key.right_transposed ? key.k : key.n; }

inline bool differ_in_rows_only(MatmulKey one, const MatmulKey& other) {
    batch_rows(one) = batch_rows(other);
    return one == other;
}

// What is fastest hardly changes with the rows, down to a point below which time hardly matters. Much more rows deserve
// trials of their own.
inline bool tells_about(const MatmulKey& tried, const MatmulKey& key) {
    constexpr int64_t TIMES_MORE = 2, TIMES_LESS = 16;
    const int64_t known = batch_rows(tried), rows = batch_rows(key);
    return rows <= TIMES_MORE * known && known <= TIMES_LESS * rows && differ_in_rows_only(tried, key);
}

// Those among the kept that were tried and tell about the key, the nearest first, of two equally near ones the smaller.
template <class Kept, class WasTried>
std::vector<const Kept*> nearest_tried(const std::map<MatmulKey, Kept>& all, const MatmulKey& key,
                                       const WasTried& was_tried) {
    std::vector<std::tuple<int64_t, int64_t, const Kept*>> found;  // distance, rows
    for (const auto& [tried, kept] : all)
        if (was_tried(kept) && tells_about(tried, key))
            found.emplace_back(std::abs(batch_rows(tried) - batch_rows(key)), batch_rows(tried), &kept);
    std::sort(found.begin(), found.end());
    std::vector<const Kept*> nearest;
    for (const auto& [distance, rows, kept] : found) nearest.push_back(kept);
    return nearest;
}

}  // namespace dllm::cuda
