// What cuBLASLt needs to know for one product: descriptors and the chosen algorithm.
#pragma once

#include "context.h"
#include "matmul_product.h"

#include <compare>
#include <string>
#include <vector>

namespace dllm::cuda {

// An algorithm's configuration, by which it is known across processes. All of them sum in one fixed order.
struct AlgorithmId {
    int32_t id;
    uint32_t tile, stages, swizzling, custom_option;
    uint16_t inner_shape, cluster_shape;

    auto operator<=>(const AlgorithmId&) const = default;
};

struct Algorithm {
    AlgorithmId id;
    cublasLtMatmulAlgo_t handle;
};

// How an algorithm was chosen: as the fastest, as the first that the library offered, as the first because a graph was
// being captured, when nothing can be timed, or as the fastest of the same product with other rows.
enum class Chosen : uint8_t { timed, first, captured, derived };

class MatmulPlan {
public:
    explicit MatmulPlan(const MatmulKey& key);
    ~MatmulPlan();
    MatmulPlan(const MatmulPlan&) = delete;
    MatmulPlan& operator=(const MatmulPlan&) = delete;

    // What cuBLASLt offers for it without split-K or a reduction over parts, its best guess first; each configuration
    // once. Empty if it offers none. Throws ERR_DEVICE.
    std::vector<Algorithm> candidates(const Context& context) const;
    // Whether cuBLASLt takes an algorithm for it that it offered for another product of such alignments.
    bool accepts(const Context& context, const Algorithm& algorithm) const;

    const MatmulKey& key() const { return key_; }

    void choose(const Algorithm& algorithm, Chosen how) { algorithm_ = algorithm, chosen_ = how; }
    const Algorithm& algorithm() const { return algorithm_; }
    Chosen chosen() const { return chosen_; }

    // Enqueues a product of the plan's key.
    cublasStatus_t enqueue(const Context& context, const MatmulProduct& product, const Algorithm& algorithm) const;

private:
    void close();
    void set_vectors(const Context& context) const;

    cublasLtMatmulDesc_t operation_ = nullptr;
    cublasLtMatrixLayout_t left_ = nullptr, right_ = nullptr, addend_ = nullptr, out_ = nullptr;
    const MatmulKey key_;
    Algorithm algorithm_{};
    Chosen chosen_ = Chosen::first;
};

// "a product of 64 x 768 x 3072"
std::string describe(const MatmulKey& key);

}  // namespace dllm::cuda
