// Handles and descriptors of cuBLASLt, and the attributes that can be set on them.
#include "cublaslt.h"

using namespace dllm::emulated;

namespace {

template <class T>
cublasStatus_t create(T** out) {
    const std::lock_guard lock(device().mutex);
    if (out == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    if (refuse_handle()) return CUBLAS_STATUS_ALLOC_FAILED;
    *out = new T;
    return CUBLAS_STATUS_SUCCESS;
}

template <class T>
cublasStatus_t destroy(T* handle, cublasStatus_t if_unknown) {
    const std::lock_guard lock(device().mutex);
    if (!is_live(handle)) return if_unknown;
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
    const std::lock_guard lock(device().mutex);
    if (device().count == 0 || device().error != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
    return create(handle);
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return destroy(handle, CUBLAS_STATUS_NOT_INITIALIZED); }

size_t cublasLtGetVersion() { return CUBLAS_VERSION; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* operation, cublasComputeType_t compute_type,
                                        cudaDataType_t scale_type) {
    const cublasStatus_t status = create(operation);
    if (status == CUBLAS_STATUS_SUCCESS) (*operation)->value = {compute_type, scale_type};
    return status;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
    return destroy(operation, CUBLAS_STATUS_INVALID_VALUE);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t which,
                                              const void* value, size_t bytes) {
    const std::lock_guard lock(device().mutex);
    if (!is_live(operation)) return CUBLAS_STATUS_INVALID_VALUE;
    Operation& o = operation->value;
    switch (which) {
        case CUBLASLT_MATMUL_DESC_TRANSA: return assign(o.transpose_a, value, bytes);
        case CUBLASLT_MATMUL_DESC_TRANSB: return assign(o.transpose_b, value, bytes);
        case CUBLASLT_MATMUL_DESC_EPILOGUE: return assign(o.epilogue, value, bytes);
        case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return assign(o.bias, value, bytes);
        case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return assign(o.bias_type, value, bytes);
        case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER: return assign(o.aux, value, bytes);
        case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: return assign(o.aux_ld, value, bytes);
        case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE: return assign(o.aux_type, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld) {
    const cublasStatus_t status = create(layout);
    if (status == CUBLAS_STATUS_SUCCESS) (*layout)->value = {type, rows, cols, ld};
    return status;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    return destroy(layout, CUBLAS_STATUS_INVALID_VALUE);
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t which,
                                                const void* value, size_t bytes) {
    const std::lock_guard lock(device().mutex);
    if (!is_live(layout)) return CUBLAS_STATUS_INVALID_VALUE;
    MatrixLayout& l = layout->value;
    switch (which) {
        case CUBLASLT_MATRIX_LAYOUT_TYPE: return assign(l.type, value, bytes);
        case CUBLASLT_MATRIX_LAYOUT_ORDER: return assign(l.order, value, bytes);
        case CUBLASLT_MATRIX_LAYOUT_ROWS: return assign(l.rows, value, bytes);
        case CUBLASLT_MATRIX_LAYOUT_COLS: return assign(l.cols, value, bytes);
        case CUBLASLT_MATRIX_LAYOUT_LD: return assign(l.ld, value, bytes);
        case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return assign(l.batch, value, bytes);
        case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return assign(l.batch_stride, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) { return create(preference); }

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    return destroy(preference, CUBLAS_STATUS_INVALID_VALUE);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t which, const void* value,
                                                    size_t bytes) {
    const std::lock_guard lock(device().mutex);
    if (!is_live(preference)) return CUBLAS_STATUS_INVALID_VALUE;
    Preference& p = preference->value;
    switch (which) {
        case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return assign(p.workspace_bytes, value, bytes);
        case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return assign(p.reduction_schemes, value, bytes);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return assign(p.alignment_a, value, bytes);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return assign(p.alignment_b, value, bytes);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return assign(p.alignment_c, value, bytes);
        case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return assign(p.alignment_d, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}
