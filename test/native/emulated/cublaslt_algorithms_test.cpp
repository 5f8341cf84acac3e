// Choosing an algorithm of the emulated cuBLASLt: filters, configuration, workspace.
#include "cublaslt_fixture.h"

#include <algorithm>

namespace dllm::emulated {
namespace {

constexpr uint64_t SIZE = 16;

// A product of two square matrices of floats.
struct Square {
    cublasLtHandle_t library = nullptr;
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t layout = nullptr;
    cublasLtMatmulPreference_t preference = nullptr;

    explicit Square(int64_t ld = SIZE) {
        succeed(cublasLtCreate(&library));
        succeed(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
        succeed(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, SIZE, SIZE, ld));
        succeed(cublasLtMatmulPreferenceCreate(&preference));
    }
    ~Square() {
        cublasLtMatmulPreferenceDestroy(preference);
        cublasLtMatrixLayoutDestroy(layout);
        cublasLtMatmulDescDestroy(operation);
        cublasLtDestroy(library);
    }
    Square(const Square&) = delete;
    Square& operator=(const Square&) = delete;

    template <class T>
    void prefer(cublasLtMatmulPreferenceAttributes_t which, T value) {
        succeed(cublasLtMatmulPreferenceSetAttribute(preference, which, &value, sizeof(value)));
    }
    std::vector<cublasLtMatmulHeuristicResult_t> candidates() {
        std::vector<cublasLtMatmulHeuristicResult_t> results(8);
        int count = 0;
        succeed(cublasLtMatmulAlgoGetHeuristic(library, operation, layout, layout, layout, layout, preference, 8,
                                               results.data(), &count));
        results.resize(size_t(count));
        return results;
    }
    cublasStatus_t run(const DeviceArray<float>& x, const DeviceArray<float>& out,
                       const cublasLtMatmulAlgo_t& algorithm, void* workspace = nullptr, size_t bytes = 0) {
        const float one = 1, zero = 0;
        return cublasLtMatmul(library, operation, &one, x.data(), layout, x.data(), layout, &zero, out.data(), layout,
                              out.data(), layout, &algorithm, workspace, bytes, nullptr);
    }
};

template <class T>
T get(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulAlgoConfigAttributes_t which) {
    T value{};
    size_t written = 0;
    succeed(cublasLtMatmulAlgoConfigGetAttribute(&algorithm, which, &value, sizeof(value), &written));
    check_equal(written, sizeof(T), "written");
    return value;
}

TEST(emulated_heuristics_obey_the_preference) {
    const FreshDevice fresh;
    Square square;
    const auto splits = [&] {
        std::vector<int> all;
        for (const auto& c : square.candidates()) all.push_back(get<int32_t>(c.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM));
        return all;
    };
    check_equal(splits(), std::vector<int>{1, 1, 1}, "without workspace");
    square.prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t(1 << 20));
    check_equal(splits(), std::vector<int>{4, 1, 1, 1}, "with workspace");
    square.prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_NONE));
    check_equal(splits(), std::vector<int>{1, 1, 1}, "without reductions");
    square.prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, uint32_t(4));
    check_equal(splits(), std::vector<int>{1}, "badly aligned");
    square.prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, uint32_t(16));
    check_equal(splits(), std::vector<int>{1, 1, 1}, "well aligned");
    Square odd(SIZE + 1);
    check_equal(odd.candidates().size(), 1u, "odd leading dimension");
}

// bf16 operands at any address of theirs, with a float32 result: each matrix has its own alignment.
TEST(emulated_heuristics_ask_each_matrix_for_its_own_alignment) {
    const FreshDevice fresh;
    Square square;
    cublasLtMatrixLayout_t halves = nullptr;
    succeed(cublasLtMatrixLayoutCreate(&halves, CUDA_R_16BF, SIZE, SIZE, SIZE + 1));
    square.prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, uint32_t(2));
    square.prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, uint32_t(2));
    const auto found = [&](uint32_t alignment_of_result) {
        square.prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of_result);
        cublasLtMatmulHeuristicResult_t result;
        int count = 0;
        const auto status =
            cublasLtMatmulAlgoGetHeuristic(square.library, square.operation, halves, halves, square.layout,
                                           square.layout, square.preference, 1, &result, &count);
        return status == CUBLAS_STATUS_SUCCESS ? count : 0;
    };
    check_equal(found(4), 1, "candidates");
    check_equal(found(2), 0, "candidates for a float at half an address");
    cublasLtMatrixLayoutDestroy(halves);
}

TEST(emulated_algorithms_compute_the_same) {
    const FreshDevice fresh;
    Square square;
    square.prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t(1 << 20));
    std::vector<float> values(SIZE * SIZE);
    for (size_t i = 0; i < values.size(); i++) values[i] = float(i % 13) - 6;
    DeviceArray<float> x(values), out(SIZE * SIZE), workspace(4 * SIZE * SIZE);
    std::vector<float> expected(SIZE * SIZE);
    for (size_t m = 0; m < SIZE; m++) {
        for (size_t n = 0; n < SIZE; n++) {
            for (size_t k = 0; k < SIZE; k++) expected[n * SIZE + m] += values[k * SIZE + m] * values[n * SIZE + k];
        }
    }
    for (const auto& candidate : square.candidates()) {
        CHECK(candidate.state == CUBLAS_STATUS_SUCCESS);
        succeed(square.run(x, out, candidate.algo, workspace.data(), candidate.workspaceSize));
        check_equal(out.download(), expected, "product");
    }
    const auto split = square.candidates()[0];
    check_equal(split.workspaceSize, 4 * SIZE * SIZE * sizeof(float), "workspace");
    CHECK(std::isnan(workspace.download()[0]));  // it was used
    check_status(square.run(x, out, split.algo, workspace.data(), split.workspaceSize - 1),
                 CUBLAS_STATUS_INVALID_VALUE);
    check_status(square.run(x, out, split.algo, nullptr, split.workspaceSize), CUBLAS_STATUS_INVALID_VALUE);
    check_status(square.run(x, out, split.algo, workspace.data() + 4, split.workspaceSize),
                 CUBLAS_STATUS_INVALID_VALUE);
    check_throws([&] { succeed(square.run(x, out, split.algo, workspace.data() + 64, split.workspaceSize)); },
                 "the workspace reaches");
}

TEST(emulated_algorithms_are_rebuilt_from_their_configuration) {
    const FreshDevice fresh;
    Square square;
    const auto original = square.candidates()[0].algo;
    cublasLtMatmulAlgo_t rebuilt;
    const auto initialize = [&](int id) {
        return cublasLtMatmulAlgoInit(square.library, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F,
                                      CUDA_R_32F, CUDA_R_32F, id, &rebuilt);
    };
    check_status(initialize(9999), CUBLAS_STATUS_INVALID_VALUE);
    succeed(initialize(get<int32_t>(original, CUBLASLT_ALGO_CONFIG_ID)));
    cublasLtMatmulHeuristicResult_t result{};
    const auto check = [&] {
        return cublasLtMatmulAlgoCheck(square.library, square.operation, square.layout, square.layout, square.layout,
                                       square.layout, &rebuilt, &result);
    };
    check_status(check(), CUBLAS_STATUS_NOT_SUPPORTED);  // no tile yet
    for (const auto which : {CUBLASLT_ALGO_CONFIG_TILE_ID, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME,
                             CUBLASLT_ALGO_CONFIG_STAGES_ID, CUBLASLT_ALGO_CONFIG_SPLITK_NUM}) {
        const auto value = get<uint32_t>(original, which);
        succeed(cublasLtMatmulAlgoConfigSetAttribute(&rebuilt, which, &value, sizeof(value)));
    }
    succeed(check());
    check_equal(result.workspaceSize, 0u, "workspace");
    CHECK(std::equal(std::begin(rebuilt.data), std::end(rebuilt.data), std::begin(original.data)));
    const int32_t splits = 4;
    succeed(cublasLtMatmulAlgoConfigSetAttribute(&rebuilt, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits, sizeof(splits)));
    check_status(check(), CUBLAS_STATUS_NOT_SUPPORTED);  // split without a reduction
    const int32_t id = 1;
    check_status(cublasLtMatmulAlgoConfigSetAttribute(&rebuilt, CUBLASLT_ALGO_CONFIG_ID, &id, sizeof(id)),
                 CUBLAS_STATUS_INVALID_VALUE);
}

TEST(emulated_library_handles_are_checked) {
    const FreshDevice fresh;
    const int64_t handles = live_handles();
    {
        const Square square;
        check_equal(live_handles() - handles, 4, "handles");
    }
    check_equal(live_handles() - handles, 0, "handles");
    check_status(cublasLtDestroy(nullptr), CUBLAS_STATUS_NOT_INITIALIZED);
    check_equal(cublasLtGetVersion(), 130101u, "version");
    check_equal(std::string_view(cublasGetStatusString(CUBLAS_STATUS_SUCCESS)), "success", "text");
    set_device_count(0);
    cublasLtHandle_t library = nullptr;
    check_status(cublasLtCreate(&library), CUBLAS_STATUS_NOT_INITIALIZED);
}

}  // namespace
}  // namespace dllm::emulated
