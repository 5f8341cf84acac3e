// What the tests of matrix products on the emulated GPU share: operands in its memory, the answer.
#pragma once

#include "../../../native/cuda/matmul_product.h"
#include "cublaslt_fixture.h"
#include "environment_setting.h"

#include <cstring>
#include <string>
#include <string_view>

namespace dllm::emulated {

// Lines that begin so.
inline int count_lines(std::string_view text, std::string_view beginning) {
    int count = 0;
    while (!text.empty()) {
        count += text.starts_with(beginning);
        text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    }
    return count;
}

// out (M, N) = a (M, K) b (K, N), with room to spare behind out.
class Products {
public:
    Products(int64_t rows, int64_t depth, int64_t cols, DType input = DType::f32, DType output = DType::f32)
        : M_(rows), K_(depth), N_(cols), input_(input), output_(output), a_(encode(numbers(size_t(rows * depth), 1))),
          b_(encode(numbers(size_t(depth * cols), 2))), out_(ones()), bias_(size_t(std::max(rows, cols)) + 1) {}

    cuda::MatmulProduct product() const {
        return {
            tensor(out_, M_, N_, output_), {tensor(a_, M_, K_, input_), false}, {tensor(b_, K_, N_, input_), false}};
    }
    // A row as long as out's, for a bias or for sums, with room for another element behind it.
    Tensor bias() const { return tensor(bias_, 1, N_, output_); }

    void poison() { out_.upload(ones()); }

    // out is `times` its first value, 1, plus the product; float32 only.
    void check(int times) const {
        const std::vector<float> found = out_.download();
        const std::vector<float> a = numbers(size_t(M_ * K_), 1), b = numbers(size_t(K_ * N_), 2);
        for (int64_t m = 0; m < M_; m++) {
            for (int64_t n = 0; n < N_; n++) {
                double sum = times;
                for (int64_t k = 0; k < K_; k++) sum += double(a[size_t(m * K_ + k)]) * double(b[size_t(k * N_ + n)]);
                check_close(double(found[size_t(m * N_ + n)]), sum, 1e-5, "product");
            }
        }
    }

private:
    static Tensor tensor(const DeviceArray<float>& array, int64_t rows, int64_t cols, DType dtype) {
        return {array.data(), rows, cols, cols, dtype};
    }

    std::vector<float> encode(const std::vector<float>& values) const {
        if (input_ == DType::f32) return values;
        const std::vector<__nv_bfloat16> halves = to_bf16(values);
        std::vector<float> packed(halves.size() / 2);
        std::memcpy(packed.data(), halves.data(), packed.size() * sizeof(float));
        return packed;
    }

    std::vector<float> ones() const { return std::vector<float>(size_t(2 * M_ * N_), 1.0f); }

    int64_t M_, K_, N_;
    DType input_, output_;
    DeviceArray<float> a_, b_, out_, bias_;
};

}  // namespace dllm::emulated
