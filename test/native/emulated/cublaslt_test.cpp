// The emulated cuBLASLt against plain loops: transpositions, orders, batches, capture, and what it refuses.
#include "cublaslt_fixture.h"

namespace dllm::emulated {
namespace {

TEST(emulated_products_in_every_transposition) {
    const FreshDevice fresh;
    for (const bool turn_a : {false, true}) {
        for (const bool turn_b : {false, true}) {
            const auto a = numbers(elements(shape_a(turn_a)), 1), b = numbers(elements(shape_b(turn_b)), 2);
            const auto before = numbers(elements(SHAPE_D), 3);
            Product product(CUDA_R_32F, CUDA_R_32F, shape_a(turn_a), shape_b(turn_b), SHAPE_D);
            product.set(CUBLASLT_MATMUL_DESC_TRANSA, int32_t(turn_a ? CUBLAS_OP_T : CUBLAS_OP_N));
            product.set(CUBLASLT_MATMUL_DESC_TRANSB, int32_t(turn_b ? CUBLAS_OP_T : CUBLAS_OP_N));
            DeviceArray<float> da(a), db(b), dd(before);
            succeed(product.run(da.data(), db.data(), dd.data(), 2.0f, 0.5f));
            auto expected = before;
            for (int n = 0; n < N; n++) {
                for (int m = 0; m < M; m++) {
                    float& e = expected[size_t(n * LD_D + m)];
                    e = float(2.0 * product_at(a, turn_a, LD_A, b, turn_b, LD_B, m, n, K) + 0.5 * double(e));
                }
            }
            check_close(dd.download(), expected, 1e-6, "product");
        }
    }
}

TEST(emulated_products_without_beta_ignore_what_was_there) {
    const FreshDevice fresh;
    const auto a = numbers(elements(shape_a(false)), 1), b = numbers(elements(shape_b(false)), 2);
    Product product(CUDA_R_16BF, CUDA_R_32F, shape_a(false), shape_b(false), SHAPE_D);
    DeviceArray<__nv_bfloat16> da(to_bf16(a)), db(to_bf16(b));
    DeviceArray<float> dd(elements(SHAPE_D));
    succeed(product.run(da.data(), db.data(), dd.data()));
    const auto result = dd.download(), ra = to_float(to_bf16(a)), rb = to_float(to_bf16(b));
    for (int n = 0; n < N; n++) {
        for (int m = 0; m < M; m++) {
            check_close(double(result[size_t(n * LD_D + m)]), product_at(ra, false, LD_A, rb, false, LD_B, m, n, K),
                        1e-5, "product");
        }
        for (int m = M; m < LD_D; m++) CHECK(std::isnan(result[size_t(n * LD_D + m)]));  // between the columns
    }
}

TEST(emulated_products_in_row_order_and_batches) {
    const FreshDevice fresh;
    constexpr int BATCH = 3;
    constexpr int64_t STRIDE_A = 80, STRIDE_B = 90, STRIDE_D = 60;
    const auto a = numbers(STRIDE_A * BATCH, 1), b = numbers(STRIDE_B * BATCH, 2);
    // Rows: a (M, K) with stride 10, b (K, N) with stride 8, d (M, N) with stride 9.
    Product product(CUDA_R_32F, CUDA_R_32F, {M, K, 10}, {K, N, 8}, {M, N, 9});
    const auto prepare = [](Layout& layout, int64_t stride) {
        layout.set(CUBLASLT_MATRIX_LAYOUT_ORDER, int32_t(CUBLASLT_ORDER_ROW));
        layout.set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, int32_t(BATCH));
        layout.set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
    };
    prepare(product.a, STRIDE_A);
    prepare(product.b, STRIDE_B);
    prepare(product.d, STRIDE_D);
    DeviceArray<float> da(a), db(b), dd(STRIDE_D * BATCH);
    succeed(product.run(da.data(), db.data(), dd.data()));
    const auto result = dd.download();
    for (int batch = 0; batch < BATCH; batch++) {
        for (int m = 0; m < M; m++) {
            for (int n = 0; n < N; n++) {
                double sum = 0;
                for (int k = 0; k < K; k++) {
                    sum += double(a[size_t(batch * STRIDE_A + m * 10 + k)]) *
                           double(b[size_t(batch * STRIDE_B + k * 8 + n)]);
                }
                check_close(double(result[size_t(batch * STRIDE_D + m * 9 + n)]), sum, 1e-5, "product");
            }
        }
    }
}

TEST(emulated_products_are_captured) {
    const FreshDevice fresh;
    Product product(CUDA_R_32F, CUDA_R_32F, {1, 1, 1}, {1, 1, 1}, {1, 1, 1});
    DeviceArray<float> a(std::vector<float>{3}), b(std::vector<float>{5}), d(std::vector<float>{1});
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    succeed(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    succeed(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    succeed(product.run(a.data(), b.data(), d.data(), 1, 1, stream));
    succeed(cudaStreamEndCapture(stream, &graph));
    succeed(cudaGraphInstantiate(&executable, graph));
    check_equal(d.download()[0], 1.0f, "before");
    product.set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t(CUBLASLT_EPILOGUE_BIAS));  // too late to change the graph
    succeed(cudaGraphLaunch(executable, stream));
    succeed(cudaGraphLaunch(executable, stream));
    check_equal(d.download()[0], 31.0f, "after");
    succeed(cudaGraphExecDestroy(executable));
    succeed(cudaGraphDestroy(graph));
    succeed(cudaStreamDestroy(stream));
}

TEST(emulated_products_check_what_they_are_given) {
    const FreshDevice fresh;
    DeviceArray<float> a(elements(shape_a(false))), b(elements(shape_b(false))), d(elements(SHAPE_D) - LD_D + M - 1);
    Product product(CUDA_R_32F, CUDA_R_32F, shape_a(false), shape_b(false), SHAPE_D);
    check_throws([&] { succeed(product.run(a.data(), b.data(), d.data())); },
                 "cublasLtMatmul: D reaches 212 bytes, which are not in one allocation");
    check_status(product.run(nullptr, b.data(), d.data()), CUBLAS_STATUS_INVALID_VALUE);
    product.set(CUBLASLT_MATMUL_DESC_TRANSA, int32_t(CUBLAS_OP_T));
    check_status(product.run(a.data(), b.data(), d.data()), CUBLAS_STATUS_INVALID_VALUE);  // shapes
    Product narrow(CUDA_R_32F, CUDA_R_16BF, shape_a(false), shape_b(false), SHAPE_D);
    check_status(narrow.run(a.data(), b.data(), d.data()), CUBLAS_STATUS_NOT_SUPPORTED);
    Product empty(CUDA_R_32F, CUDA_R_32F, {M, K, M}, {K, 0, K}, {M, 0, M});
    check_status(empty.run(a.data(), b.data(), d.data()), CUBLAS_STATUS_INVALID_VALUE);
    Product odd_aux(CUDA_R_32F, CUDA_R_32F, shape_a(false), shape_b(false), SHAPE_D);
    odd_aux.set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t(CUBLASLT_EPILOGUE_DGELU));
    odd_aux.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, int64_t(M));
    check_status(odd_aux.run(a.data(), b.data(), d.data()), CUBLAS_STATUS_INVALID_VALUE);
    int64_t wrong_size = 0;
    check_status(cublasLtMatmulDescSetAttribute(product.operation, CUBLASLT_MATMUL_DESC_TRANSA, &wrong_size, 8),
                 CUBLAS_STATUS_INVALID_VALUE);
    fail_launch(1);
    DeviceArray<float> whole(elements(SHAPE_D));
    product.set(CUBLASLT_MATMUL_DESC_TRANSA, int32_t(CUBLAS_OP_N));
    succeed(product.run(a.data(), b.data(), whole.data()));
    check_status(product.run(a.data(), b.data(), whole.data()), CUBLAS_STATUS_EXECUTION_FAILED);
}

}  // namespace
}  // namespace dllm::emulated
