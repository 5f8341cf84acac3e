// The algorithms that the emulated cuBLASLt offers. They differ in what they demand, not in what they compute; the one
// with split-K comes first, so that whoever does not want it has to say so.
#include "cublaslt.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace dllm::emulated {

namespace {

// How an algorithm's 64 bytes are used.
struct Configuration {
    int32_t id;
    uint32_t tile;
    int32_t splits;
    uint32_t reduction;
    uint32_t swizzling;
    uint32_t custom_option;
    uint32_t stages;
    uint16_t inner_shape;
    uint16_t cluster_shape;
    uint32_t reserved[8];
};
static_assert(sizeof(Configuration) == sizeof(cublasLtMatmulAlgo_t));

constexpr int32_t ALIGNED_ID = 21, ANY_ALIGNMENT_ID = 6;

constexpr Configuration configurations[] = {
    {ALIGNED_ID,
     CUBLASLT_MATMUL_TILE_128x128,
     4,
     CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE,
     0,
     0,
     CUBLASLT_MATMUL_STAGES_32x4,
     0,
     0,
     {}},
    {ALIGNED_ID,
     CUBLASLT_MATMUL_TILE_128x128,
     1,
     CUBLASLT_REDUCTION_SCHEME_NONE,
     0,
     0,
     CUBLASLT_MATMUL_STAGES_32x4,
     0,
     0,
     {}},
    {ALIGNED_ID,
     CUBLASLT_MATMUL_TILE_64x64,
     1,
     CUBLASLT_REDUCTION_SCHEME_NONE,
     0,
     0,
     CUBLASLT_MATMUL_STAGES_64x3,
     0,
     0,
     {}},
    {ANY_ALIGNMENT_ID,
     CUBLASLT_MATMUL_TILE_64x64,
     1,
     CUBLASLT_REDUCTION_SCHEME_NONE,
     0,
     0,
     CUBLASLT_MATMUL_STAGES_UNDEFINED,
     0,
     0,
     {}},
};

cublasLtMatmulAlgo_t pack(const Configuration& configuration) {
    cublasLtMatmulAlgo_t algorithm;
    std::memcpy(&algorithm, &configuration, sizeof(algorithm));
    return algorithm;
}

Configuration unpack(const cublasLtMatmulAlgo_t& algorithm) {
    Configuration configuration;
    std::memcpy(&configuration, &algorithm, sizeof(configuration));
    return configuration;
}

constexpr int COUNT = int(std::size(configurations));
static_assert(COUNT == ALGORITHMS);

bool is_algorithm(int id) { return id == ALIGNED_ID || id == ANY_ALIGNMENT_ID; }

// The pointers of an operation are not followed here, but their alignment counts. One that is not set tells none, which
// is refused, as it would be taken for the best.
bool pointers_are_set(const Operation& o) {
    return (!o.uses_bias() || o.bias != nullptr) && (!o.uses_aux() || o.aux != nullptr);
}

bool satisfies(const Configuration& candidate, const Needs& needs, const Preference& preference, const Operation& o) {
    const bool scheme = candidate.splits == 1 || (preference.reduction_schemes & candidate.reduction) != 0;
    const bool bias = !o.uses_bias() || reinterpret_cast<uintptr_t>(o.bias) % needs.alignment_bias == 0;
    return scheme && bias && needs.workspace_bytes <= preference.workspace_bytes &&
           needs.alignment_a <= preference.alignment_a && needs.alignment_b <= preference.alignment_b &&
           needs.alignment_c <= preference.alignment_c && needs.alignment_d <= preference.alignment_d;
}

// The address of an attribute and its size, or nothing.
std::pair<void*, size_t> attribute(Configuration& c, cublasLtMatmulAlgoConfigAttributes_t which) {
    switch (which) {
        case CUBLASLT_ALGO_CONFIG_ID: return {&c.id, sizeof(c.id)};
        case CUBLASLT_ALGO_CONFIG_TILE_ID: return {&c.tile, sizeof(c.tile)};
        case CUBLASLT_ALGO_CONFIG_SPLITK_NUM: return {&c.splits, sizeof(c.splits)};
        case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME: return {&c.reduction, sizeof(c.reduction)};
        case CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING: return {&c.swizzling, sizeof(c.swizzling)};
        case CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION: return {&c.custom_option, sizeof(c.custom_option)};
        case CUBLASLT_ALGO_CONFIG_STAGES_ID: return {&c.stages, sizeof(c.stages)};
        case CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID: return {&c.inner_shape, sizeof(c.inner_shape)};
        case CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID: return {&c.cluster_shape, sizeof(c.cluster_shape)};
    }
    return {nullptr, 0};
}

}  // namespace

int number_of(const cublasLtMatmulAlgo_t& algorithm) {
    for (int n = 0; n < COUNT; n++) {
        const cublasLtMatmulAlgo_t one = pack(configurations[n]);
        if (std::memcmp(&one, &algorithm, sizeof(one)) == 0) return n;
    }
    return -1;
}

cublasStatus_t needs_of(const cublasLtMatmulAlgo_t& algorithm, const Problem& problem, Needs& needs) {
    const Configuration c = unpack(algorithm);
    if (!is_algorithm(c.id)) return CUBLAS_STATUS_INVALID_VALUE;
    const bool aligned = c.id == ALIGNED_ID;
    if (c.tile != CUBLASLT_MATMUL_TILE_128x128 && c.tile != CUBLASLT_MATMUL_TILE_64x64) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (c.splits < 1 || (c.splits > 1) != (c.reduction == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (c.splits > 1 && (!aligned || problem.operation.epilogue != CUBLASLT_EPILOGUE_DEFAULT)) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    constexpr size_t WIDE_LOAD = 16;
    for (const auto& [layout, alignment] :
         {std::pair(&problem.a, &needs.alignment_a), std::pair(&problem.b, &needs.alignment_b),
          std::pair(&problem.c, &needs.alignment_c), std::pair(&problem.d, &needs.alignment_d)}) {
        const size_t element = layout->element_bytes();
        *alignment = aligned ? WIDE_LOAD : element;
        if (size_t(layout->ld) * element % *alignment != 0 || size_t(layout->batch_stride) * element % *alignment != 0)
            return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    needs.alignment_bias = aligned ? WIDE_LOAD : problem.d.element_bytes();
    const size_t partial = problem.M() * problem.N() * size_t(problem.d.batch) * sizeof(float);
    needs.workspace_bytes = c.splits > 1 ? size_t(c.splits) * partial : 0;
    return CUBLAS_STATUS_SUCCESS;
}

}  // namespace dllm::emulated

using namespace dllm::emulated;

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t results[], int* returned) {
    const std::lock_guard lock(device().mutex);
    if (!is_live(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!is_live(preference) || requested < 1 || results == nullptr || returned == nullptr) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    *returned = 0;
    Problem problem;
    if (const auto status = describe_problem(problem, operation, a, b, c, d); status != CUBLAS_STATUS_SUCCESS) {
        return status;
    }
    if (!problem.operation.only_multiplies() && device().epilogue_refusal == Refusal::heuristic)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!pointers_are_set(problem.operation)) return CUBLAS_STATUS_INVALID_VALUE;
    for (const Configuration& candidate : configurations) {
        const cublasLtMatmulAlgo_t algorithm = pack(candidate);
        Needs needs{};
        if (*returned == requested || needs_of(algorithm, problem, needs) != CUBLAS_STATUS_SUCCESS) continue;
        if (!satisfies(candidate, needs, preference->value, problem.operation)) continue;
        const float waves = 1.0f + float(&candidate - configurations);
        results[(*returned)++] = {algorithm, needs.workspace_bytes, CUBLAS_STATUS_SUCCESS, waves, {}};
    }
    return *returned > 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t handle, cublasComputeType_t, cudaDataType_t, cudaDataType_t,
                                      cudaDataType_t, cudaDataType_t, cudaDataType_t, int id,
                                      cublasLtMatmulAlgo_t* algorithm) {
    const std::lock_guard lock(device().mutex);
    if (!is_live(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (algorithm == nullptr || !is_algorithm(id)) return CUBLAS_STATUS_INVALID_VALUE;
    *algorithm = pack({id,
                       CUBLASLT_MATMUL_TILE_UNDEFINED,
                       1,
                       CUBLASLT_REDUCTION_SCHEME_NONE,
                       0,
                       0,
                       CUBLASLT_MATMUL_STAGES_UNDEFINED,
                       0,
                       0,
                       {}});
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                       cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t* algorithm,
                                       cublasLtMatmulHeuristicResult_t* result) {
    const std::lock_guard lock(device().mutex);
    if (!is_live(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (algorithm == nullptr || result == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    Problem problem;
    cublasStatus_t status = describe_problem(problem, operation, a, b, c, d);
    Needs needs{};
    if (status == CUBLAS_STATUS_SUCCESS) status = needs_of(*algorithm, problem, needs);
    result->state = status;
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    result->workspaceSize = needs.workspace_bytes;
    result->wavesCount = 1.0f;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t which, void* value,
                                                    size_t bytes, size_t* written) {
    if (algorithm == nullptr || (bytes == 0 && written == nullptr)) return CUBLAS_STATUS_INVALID_VALUE;
    Configuration configuration = unpack(*algorithm);
    const auto [field, size] = attribute(configuration, which);
    if (field == nullptr || (bytes != 0 && (value == nullptr || bytes != size))) return CUBLAS_STATUS_INVALID_VALUE;
    if (bytes != 0) std::memcpy(value, field, size);
    if (written != nullptr) *written = size;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t* algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t which, const void* value,
                                                    size_t bytes) {
    if (algorithm == nullptr || value == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    Configuration configuration = unpack(*algorithm);
    const auto [field, size] = attribute(configuration, which);
    if (field == nullptr || bytes != size || which == CUBLASLT_ALGO_CONFIG_ID) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(field, value, size);
    *algorithm = pack(configuration);
    return CUBLAS_STATUS_SUCCESS;
}
