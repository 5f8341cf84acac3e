// The product itself: widened to float32, multiplied by the CPU backend, then the epilogue element by element.
#include "backend.h"
#include "cublaslt.h"

#include <cuda_bf16.h>

#include <cmath>
#include <memory>
#include <vector>

namespace dllm::emulated {

namespace {

float load(const void* data, cudaDataType type, size_t index) {
    if (type == CUDA_R_32F) return static_cast<const float*>(data)[index];
    return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[index]);
}

void store(void* data, cudaDataType type, size_t index, float value) {
    if (type == CUDA_R_32F) {
        static_cast<float*>(data)[index] = value;
    } else {
        static_cast<__nv_bfloat16*>(data)[index] = __float2bfloat16_rn(value);
    }
}

// Where element (row, column) of matrix `batch` lies.
size_t place(const MatrixLayout& l, uint64_t row, uint64_t column, int batch) {
    const uint64_t ld = uint64_t(l.ld), within = l.order == CUBLASLT_ORDER_COL ? column * ld + row : row * ld + column;
    return size_t(batch) * size_t(l.batch_stride) + within;
}

// A matrix, or its transpose, as rows of floats.
std::vector<float> widen(const void* data, const MatrixLayout& l, bool transpose, int batch) {
    const uint64_t rows = transpose ? l.cols : l.rows, columns = transpose ? l.rows : l.cols;
    std::vector<float> all(rows * columns);
    for (uint64_t r = 0; r < rows; r++) {
        for (uint64_t c = 0; c < columns; c++) {
            const size_t at = transpose ? place(l, c, r, batch) : place(l, r, c, batch);
            all[r * columns + c] = load(data, l.type, at);
        }
    }
    return all;
}

Tensor matrix(std::vector<float>& values, uint64_t rows, uint64_t columns) {
    return {values.data(), int64_t(rows), int64_t(columns), int64_t(columns), DType::f32};
}

constexpr float GELU_SLOPE = 0.79788456f, GELU_CUBIC = 0.044715f;  // sqrt(2 / pi)

float gelu(float x) { return 0.5f * x * (1.0f + std::tanh(GELU_SLOPE * (x + GELU_CUBIC * x * x * x))); }

float gelu_derivative(float x) {
    const float t = std::tanh(GELU_SLOPE * (x + GELU_CUBIC * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * GELU_SLOPE * (1.0f + 3.0f * GELU_CUBIC * x * x);
}

// The sums of a matrix's rows, as a bias gradient.
void store_row_sums(const std::vector<float>& values, uint64_t rows, const Problem& p) {
    const uint64_t columns = values.size() / rows;
    for (uint64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (uint64_t c = 0; c < columns; c++) sum += double(values[r * columns + c]);
        store(p.operation.bias, p.d.type, r, float(sum));
    }
}

void finish(const Problem& p, const Operands& x, const std::vector<float>& product, int batch) {
    const Operation& o = p.operation;
    std::vector<double> column_sums(o.epilogue == CUBLASLT_EPILOGUE_DGELU_BGRAD ? p.M() : 0);
    for (uint64_t n = 0; n < p.N(); n++) {
        for (uint64_t m = 0; m < p.M(); m++) {
            float value = x.alpha * product[n * p.M() + m];
            if (x.beta != 0.0f) value += x.beta * load(x.c, p.c.type, place(p.c, m, n, batch));
            if (o.adds_bias()) value += load(o.bias, p.d.type, m);
            const size_t aux = size_t(o.aux_ld) * n + m;
            if (o.activates()) {
                store(o.aux, p.d.type, aux, value);
                value = gelu(value);
            } else if (o.uses_aux()) {
                value *= gelu_derivative(load(o.aux, p.d.type, aux));
            }
            if (!column_sums.empty()) column_sums[m] += double(value);
            store(x.d, p.d.type, place(p.d, m, n, batch), value);
        }
    }
    for (uint64_t m = 0; m < column_sums.size(); m++) store(o.bias, p.d.type, m, float(column_sums[m]));
}

}  // namespace

void multiply(const Problem& p, const Operands& x, int parts) {
    static const std::unique_ptr<Backend> cpu = make_cpu_backend();
    const bool turn_a = p.operation.transpose_a == CUBLAS_OP_T, turn_b = p.operation.transpose_b == CUBLAS_OP_T;
    for (int batch = 0; batch < p.d.batch; batch++) {
        // In rows: product (N, M) = op(b)^T (N, K) times op(a)^T, given as (M, K)
        std::vector<float> a = widen(x.a, p.a, turn_a, batch), b = widen(x.b, p.b, !turn_b, batch);
        std::vector<float> product(p.N() * p.M());
        const Tensor out = matrix(product, p.N(), p.M());
        for (int part = 0; part < parts; part++) {
            const int64_t K = int64_t(p.K()), begin = K * part / parts, count = K * (part + 1) / parts - begin;
            if (count == 0) continue;
            cpu->matmul_forward(out, matrix(b, p.N(), p.K()).slice_cols(begin, count),
                                matrix(a, p.M(), p.K()).slice_cols(begin, count), {}, part > 0 ? out : Tensor{},
                                WeightLayout::out_in);
        }
        if (p.operation.epilogue == CUBLASLT_EPILOGUE_BGRADA) store_row_sums(a, p.M(), p);
        if (p.operation.epilogue == CUBLASLT_EPILOGUE_BGRADB) store_row_sums(b, p.N(), p);
        finish(p, x, product, batch);
    }
}

}  // namespace dllm::emulated
