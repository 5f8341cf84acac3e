// Which matrix products cuBLASLt accepts.
#include "cublaslt.h"

namespace dllm::emulated {

namespace {

bool is_float(cudaDataType type) { return type == CUDA_R_32F || type == CUDA_R_16BF; }
bool is_transposition(int32_t value) { return value == CUBLAS_OP_N || value == CUBLAS_OP_T; }

bool layout_holds(const MatrixLayout& l) {
    if (l.rows == 0 || l.cols == 0 || l.batch < 1) return false;
    if (l.order != CUBLASLT_ORDER_COL && l.order != CUBLASLT_ORDER_ROW) return false;
    return l.ld >= int64_t(l.order == CUBLASLT_ORDER_COL ? l.rows : l.cols) && l.batch_stride >= 0;
}

bool shapes_fit(const Problem& p) {
    const bool turn_a = p.operation.transpose_a == CUBLAS_OP_T, turn_b = p.operation.transpose_b == CUBLAS_OP_T;
    const uint64_t rows_b = turn_b ? p.b.cols : p.b.rows, cols_b = turn_b ? p.b.rows : p.b.cols;
    return (turn_a ? p.a.cols : p.a.rows) == p.M() && rows_b == p.K() && cols_b == p.N() && p.c.rows == p.d.rows &&
           p.c.cols == p.d.cols && p.a.batch == p.d.batch && p.b.batch == p.d.batch && p.c.batch == p.d.batch;
}

bool types_supported(const Problem& p) {
    const Operation& o = p.operation;
    if (o.compute_type != CUBLAS_COMPUTE_32F && o.compute_type != CUBLAS_COMPUTE_32F_PEDANTIC) return false;
    if (o.scale_type != CUDA_R_32F || !is_float(p.a.type) || p.b.type != p.a.type) return false;
    if (!is_float(p.d.type) || p.c.type != p.d.type) return false;
    return p.a.type == CUDA_R_16BF || p.d.type == CUDA_R_32F;
}

bool epilogue_supported(const Problem& p) {
    const Operation& o = p.operation;
    if (o.epilogue == CUBLASLT_EPILOGUE_DEFAULT) return true;
    if (!o.uses_bias() && !o.uses_aux()) return false;
    // Vectors and auxiliary matrices have the type of d; in batches and in row order nothing but the plain product.
    const auto own_type = [&](int32_t type) { return type == -1 || type == p.d.type; };
    if (!own_type(o.bias_type) || (o.uses_aux() && !own_type(o.aux_type))) return false;
    for (const MatrixLayout* l : {&p.a, &p.b, &p.c, &p.d}) {
        if (l->order != CUBLASLT_ORDER_COL || l->batch != 1) return false;
    }
    return true;
}

}  // namespace

cublasStatus_t describe_problem(Problem& problem, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
                                cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
    if (!is_live(operation) || !is_live(a) || !is_live(b) || !is_live(c) || !is_live(d)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    problem = {operation->value, a->value, b->value, c->value, d->value};
    const Operation& o = problem.operation;
    if (!is_transposition(o.transpose_a) || !is_transposition(o.transpose_b)) return CUBLAS_STATUS_INVALID_VALUE;
    for (const MatrixLayout* l : {&problem.a, &problem.b, &problem.c, &problem.d}) {
        if (!layout_holds(*l)) return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!shapes_fit(problem)) return CUBLAS_STATUS_INVALID_VALUE;
    if (o.uses_aux() && (o.aux_ld % 8 != 0 || o.aux_ld < int64_t(problem.M()))) return CUBLAS_STATUS_INVALID_VALUE;
    return types_supported(problem) && epilogue_supported(problem) ? CUBLAS_STATUS_SUCCESS
                                                                   : CUBLAS_STATUS_NOT_SUPPORTED;
}

}  // namespace dllm::emulated
