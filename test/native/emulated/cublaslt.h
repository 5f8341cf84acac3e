// The emulated cuBLASLt from inside: what its descriptors hold, and the steps of a matrix product.
#pragma once

#include <cublasLt.h>

#include "device.h"

#include <cstring>

namespace dllm::emulated {

struct MatrixLayout {
    cudaDataType type;
    uint64_t rows, cols;
    int64_t ld;
    int32_t order = CUBLASLT_ORDER_COL;
    int32_t batch = 1;
    int64_t batch_stride = 0;

    size_t element_bytes() const { return type == CUDA_R_32F ? 4 : 2; }
    // From the first element to the last of one matrix.
    size_t elements() const {
        const bool by_columns = order == CUBLASLT_ORDER_COL;
        return size_t(ld) * ((by_columns ? cols : rows) - 1) + (by_columns ? rows : cols);
    }
    size_t bytes() const { return (elements() + size_t(batch - 1) * size_t(batch_stride)) * element_bytes(); }
};

struct Operation {
    cublasComputeType_t compute_type;
    cudaDataType_t scale_type;
    int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
    uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    void* bias = nullptr;
    int32_t bias_type = -1;  // that of d
    void* aux = nullptr;
    int64_t aux_ld = 0;
    int32_t aux_type = -1;  // that of d

    bool adds_bias() const { return epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS; }
    bool activates() const {
        return epilogue == CUBLASLT_EPILOGUE_GELU_AUX || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    }
    bool uses_aux() const {
        return activates() || epilogue == CUBLASLT_EPILOGUE_DGELU || epilogue == CUBLASLT_EPILOGUE_DGELU_BGRAD;
    }
    bool writes_bias() const {
        return epilogue == CUBLASLT_EPILOGUE_DGELU_BGRAD || epilogue == CUBLASLT_EPILOGUE_BGRADA ||
               epilogue == CUBLASLT_EPILOGUE_BGRADB;
    }
    bool uses_bias() const { return adds_bias() || writes_bias(); }
    bool only_multiplies() const { return epilogue == CUBLASLT_EPILOGUE_DEFAULT || epilogue == CUBLASLT_EPILOGUE_BIAS; }
};

// d (M x N) = epilogue(alpha op(a) op(b) + beta c), op(a) M x K, op(b) K x N
struct Problem {
    Operation operation;
    MatrixLayout a, b, c, d;

    uint64_t M() const { return d.rows; }
    uint64_t N() const { return d.cols; }
    uint64_t K() const { return operation.transpose_a == CUBLAS_OP_N ? a.cols : a.rows; }
    uint64_t bias_length() const { return operation.epilogue == CUBLASLT_EPILOGUE_BGRADB ? N() : M(); }
};

struct Operands {
    float alpha, beta;
    const void *a, *b, *c;
    void* d;
};

struct Preference {
    uint64_t workspace_bytes = 0;
    uint32_t reduction_schemes = CUBLASLT_REDUCTION_SCHEME_MASK;
    uint32_t alignment_a = 256, alignment_b = 256, alignment_c = 256, alignment_d = 256;
};

// ---- cublaslt_problem.cpp: shapes that do not fit are INVALID_VALUE, what the library lacks is NOT_SUPPORTED
cublasStatus_t describe_problem(Problem& problem, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
                                cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d);

// ---- cublaslt_algorithms.cpp
// What an algorithm needs for a problem; NOT_SUPPORTED if it cannot do it, INVALID_VALUE if it is none.
struct Needs {
    size_t workspace_bytes = 0;
    size_t alignment_a = 1, alignment_b = 1, alignment_c = 1, alignment_d = 1, alignment_bias = 1;
};
cublasStatus_t needs_of(const cublasLtMatmulAlgo_t& algorithm, const Problem& problem, Needs& needs);
// Its number in the order in which they are offered; -1 if it is none of them.
int number_of(const cublasLtMatmulAlgo_t& algorithm);

// ---- cublaslt_product.cpp
// The depth is summed in this many parts, one after the other.
void multiply(const Problem& problem, const Operands& operands, int parts);

template <class T>
cublasStatus_t assign(T& field, const void* value, size_t bytes) {
    if (value == nullptr || bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&field, value, sizeof(T));
    return CUBLAS_STATUS_SUCCESS;
}

}  // namespace dllm::emulated

struct cublasLtContext : dllm::emulated::Handle {};

struct cublasLtMatrixLayoutOpaque_t : dllm::emulated::Handle {
    dllm::emulated::MatrixLayout value;
};

struct cublasLtMatmulDescOpaque_t : dllm::emulated::Handle {
    dllm::emulated::Operation value;
};

struct cublasLtMatmulPreferenceOpaque_t : dllm::emulated::Handle {
    dllm::emulated::Preference value;
};

namespace dllm::emulated {

inline bool is_live(const Handle* handle) { return handle != nullptr && Handle::is_live(handle); }

}  // namespace dllm::emulated
