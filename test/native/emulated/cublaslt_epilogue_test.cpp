// The epilogues of the emulated cuBLASLt against plain loops.
#include "cublaslt_fixture.h"

#include <memory>

namespace dllm::emulated {
namespace {

double gelu(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
double gelu_slope(double x) { return (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5; }

// Runs one epilogue on float or bf16 matrices; d, aux and bias come back as floats.
struct Epilogue {
    std::vector<float> a = numbers(elements(shape_a(false)), 1), b = numbers(elements(shape_b(false)), 2);
    std::vector<float> bias = numbers(N, 3), aux = numbers(elements(SHAPE_D), 4), d;

    Epilogue(cublasLtEpilogue_t epilogue, bool bf16) {
        if (bf16) {
            for (auto* values : {&a, &b, &bias, &aux}) *values = to_float(to_bf16(*values));
        }
        const cudaDataType type = bf16 ? CUDA_R_16BF : CUDA_R_32F;
        Product product(type, type, shape_a(false), shape_b(false), SHAPE_D);
        const Array da(a, bf16), db(b, bf16), dbias(bias, bf16), daux(aux, bf16);
        const Array dd(std::vector<float>(elements(SHAPE_D)), bf16);
        product.set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t(epilogue));
        product.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, dbias.data());
        product.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, int32_t(type));
        product.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, daux.data());
        product.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, int64_t(LD_D));
        product.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, int32_t(type));
        succeed(product.run(da.data(), db.data(), dd.data()));
        d = dd.download();
        bias = dbias.download();
        aux = daux.download();
    }

    double product(int m, int n) const { return product_at(a, false, LD_A, b, false, LD_B, m, n, K); }

private:
    class Array {
    public:
        Array(const std::vector<float>& values, bool bf16) {
            if (bf16) {
                halves_ = std::make_unique<DeviceArray<__nv_bfloat16>>(to_bf16(values));
            } else {
                floats_ = std::make_unique<DeviceArray<float>>(values);
            }
        }
        void* data() const { return halves_ ? static_cast<void*>(halves_->data()) : floats_->data(); }
        std::vector<float> download() const { return halves_ ? to_float(halves_->download()) : floats_->download(); }

    private:
        std::unique_ptr<DeviceArray<float>> floats_;
        std::unique_ptr<DeviceArray<__nv_bfloat16>> halves_;
    };
};

TEST(emulated_epilogues_of_the_forward_pass) {
    const FreshDevice fresh;
    for (const bool bf16 : {false, true}) {
        const double tolerance = bf16 ? 1e-2 : 1e-5;
        const std::vector<float> bias = Epilogue(CUBLASLT_EPILOGUE_BIAS, bf16).bias;
        const Epilogue plain(CUBLASLT_EPILOGUE_BIAS, bf16), activated(CUBLASLT_EPILOGUE_GELU_AUX_BIAS, bf16);
        const Epilogue without_bias(CUBLASLT_EPILOGUE_GELU_AUX, bf16);
        for (int n = 0; n < N; n++) {
            for (int m = 0; m < M; m++) {
                const size_t at = size_t(n * LD_D + m);
                const double pre = plain.product(m, n) + double(bias[size_t(m)]);
                check_close(double(plain.d[at]), pre, tolerance, "bias");
                check_close(double(activated.aux[at]), pre, tolerance, "aux");
                check_close(double(activated.d[at]), gelu(pre), tolerance, "gelu");
                check_close(double(without_bias.aux[at]), plain.product(m, n), tolerance, "aux without bias");
                check_close(double(without_bias.d[at]), gelu(plain.product(m, n)), tolerance, "gelu without bias");
            }
        }
    }
}

TEST(emulated_epilogues_of_the_backward_pass) {
    const FreshDevice fresh;
    for (const bool bf16 : {false, true}) {
        const double tolerance = bf16 ? 1e-2 : 1e-5;
        const Epilogue plain(CUBLASLT_EPILOGUE_DGELU, bf16), summed(CUBLASLT_EPILOGUE_DGELU_BGRAD, bf16);
        const Epilogue of_a(CUBLASLT_EPILOGUE_BGRADA, bf16), of_b(CUBLASLT_EPILOGUE_BGRADB, bf16);
        std::vector<double> column_sums(M), sums_a(M), sums_b(N);
        for (int n = 0; n < N; n++) {
            for (int m = 0; m < M; m++) {
                const size_t at = size_t(n * LD_D + m);
                const double gradient = plain.product(m, n) * gelu_slope(double(plain.aux[at]));
                check_close(double(plain.d[at]), gradient, tolerance, "dgelu");
                check_close(double(summed.d[at]), gradient, tolerance, "dgelu");
                check_close(double(of_a.d[at]), of_a.product(m, n), tolerance, "product");
                column_sums[size_t(m)] += gradient;
            }
        }
        for (int k = 0; k < K; k++) {
            for (int m = 0; m < M; m++) sums_a[size_t(m)] += double(of_a.a[size_t(k * LD_A + m)]);
            for (int n = 0; n < N; n++) sums_b[size_t(n)] += double(of_b.b[size_t(n * LD_B + k)]);
        }
        for (size_t m = 0; m < M; m++) check_close(double(summed.bias[m]), column_sums[m], 3 * tolerance, "bgrad");
        for (size_t m = 0; m < M; m++) check_close(double(of_a.bias[m]), sums_a[m], tolerance, "bgrada");
        for (size_t n = 0; n < N; n++) check_close(double(of_b.bias[n]), sums_b[n], tolerance, "bgradb");
    }
}

}  // namespace
}  // namespace dllm::emulated
