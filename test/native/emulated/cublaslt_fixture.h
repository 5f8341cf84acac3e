// What the tests of the emulated cuBLASLt share: descriptors that clean up, one product, matrices of awkward sizes.
#pragma once

#include <cublasLt.h>
#include <cuda_bf16.h>

#include "fixture.h"

#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

namespace dllm::emulated {

inline void succeed(cublasStatus_t status, std::source_location where = std::source_location::current()) {
    if (status != CUBLAS_STATUS_SUCCESS) throw test::Failure{cublasLtGetStatusName(status), where};
}

inline void check_status(cublasStatus_t status, cublasStatus_t expected,
                         std::source_location where = std::source_location::current()) {
    check_equal(std::string_view(cublasLtGetStatusName(status)), cublasLtGetStatusName(expected), "status", where);
}

// The size of a column-major matrix.
struct Shape {
    uint64_t rows, cols;
    int64_t ld;
};

struct Layout {
    cublasLtMatrixLayout_t handle = nullptr;
    Layout(cudaDataType type, Shape shape) {
        succeed(cublasLtMatrixLayoutCreate(&handle, type, shape.rows, shape.cols, shape.ld));
    }
    ~Layout() { cublasLtMatrixLayoutDestroy(handle); }
    Layout(const Layout&) = delete;
    Layout& operator=(const Layout&) = delete;

    template <class T>
    void set(cublasLtMatrixLayoutAttribute_t which, T value) {
        succeed(cublasLtMatrixLayoutSetAttribute(handle, which, &value, sizeof(value)));
    }
};

// One product with everything that belongs to it.
struct Product {
    cublasLtHandle_t library = nullptr;
    cublasLtMatmulDesc_t operation = nullptr;
    Layout a, b, d;

    Product(cudaDataType input, cudaDataType output, Shape a_shape, Shape b_shape, Shape d_shape)
        : a(input, a_shape), b(input, b_shape), d(output, d_shape) {
        succeed(cublasLtCreate(&library));
        succeed(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    }
    ~Product() {
        cublasLtMatmulDescDestroy(operation);
        cublasLtDestroy(library);
    }
    Product(const Product&) = delete;
    Product& operator=(const Product&) = delete;

    template <class T>
    void set(cublasLtMatmulDescAttributes_t which, T value) {
        succeed(cublasLtMatmulDescSetAttribute(operation, which, &value, sizeof(value)));
    }
    cublasStatus_t run(const void* a_data, const void* b_data, void* d_data, float alpha = 1, float beta = 0,
                       cudaStream_t stream = nullptr) {
        return cublasLtMatmul(library, operation, &alpha, a_data, a.handle, b_data, b.handle, &beta, d_data, d.handle,
                              d_data, d.handle, nullptr, nullptr, 0, stream);
    }
};

inline std::vector<float> numbers(size_t count, int seed) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; i++) values[i] = std::sin(float(i) * 0.37f + float(seed));
    return values;
}

inline std::vector<__nv_bfloat16> to_bf16(const std::vector<float>& values) {
    std::vector<__nv_bfloat16> rounded(values.size());
    for (size_t i = 0; i < values.size(); i++) rounded[i] = __float2bfloat16_rn(values[i]);
    return rounded;
}

inline std::vector<float> to_float(const std::vector<__nv_bfloat16>& values) {
    std::vector<float> widened(values.size());
    for (size_t i = 0; i < values.size(); i++) widened[i] = __bfloat162float(values[i]);
    return widened;
}

// op(a) (M, K) times op(b) (K, N), column-major with the given leading dimensions; element (m, n) of the result.
inline double product_at(const std::vector<float>& a, bool turn_a, int64_t lda, const std::vector<float>& b,
                         bool turn_b, int64_t ldb, int m, int n, int depth) {
    double sum = 0;
    for (int k = 0; k < depth; k++) {
        sum += double(a[size_t(turn_a ? k + m * lda : m + k * lda)]) *
               double(b[size_t(turn_b ? n + k * ldb : k + n * ldb)]);
    }
    return sum;
}

inline constexpr int M = 5, N = 7, K = 9;
inline constexpr int64_t LD_A = 11, LD_B = 12, LD_D = 8;
inline constexpr Shape SHAPE_D{M, N, LD_D};

inline Shape shape_a(bool turned) { return turned ? Shape{K, M, LD_A} : Shape{M, K, LD_A}; }
inline Shape shape_b(bool turned) { return turned ? Shape{N, K, LD_B} : Shape{K, N, LD_B}; }
inline size_t elements(Shape shape) { return size_t(shape.ld) * shape.cols; }

}  // namespace dllm::emulated
