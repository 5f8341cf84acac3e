// The three ops whose products have an epilogue, on tensors of one backend.
#pragma once

#include "../../../native/cuda/backend.h"
#include "matmul_fixture.h"

#include <array>

namespace dllm::emulated {

using cuda::CudaBackend;

class Layer {
public:
    explicit Layer(DType compute = DType::bf16) : backend(0, compute) {
        for (Tensor* tensor : {&x_, &weight_, &pre_, &out_, &dpre_, &dhidden_}) *tensor = make(compute);
        dweight_ = make(DType::f32), dbias_ = make(DType::f32).slice_rows(0, 1);
        for (const Tensor& tensor : {x_, weight_, pre_}) {
            std::vector<uint16_t> bits(size_t(tensor.count()) * size_t(dtype_bytes(tensor.dtype)) / 2, 0x3f80);  // ones
            if (tensor.dtype == DType::f32)
                for (size_t i = 0; i < bits.size(); i += 2) bits[i] = 0;
            backend.upload(tensor, bits.data());
        }
    }
    ~Layer() {
        for (const Tensor& tensor : {x_, weight_, pre_, out_, dpre_, dhidden_, dweight_, dbias_})
            backend.release(tensor.data);
    }
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;

    CudaBackend backend;

    void forward() {
        backend.matmul_activation_forward(out_, pre_, x_, weight_, {}, Activation::gelu, WeightLayout::in_out);
    }
    void backward() {
        backend.matmul_activation_backward(dpre_, dhidden_, x_, weight_, pre_, Activation::gelu, WeightLayout::in_out);
    }
    // Gradients by so many rows, which start at zero.
    std::array<float, 2> weight_and_bias(int64_t rows = SIZE) {
        backend.zero(dweight_);
        backend.zero(dbias_);
        const Tensor x = x_.slice_rows(0, rows);
        backend.matmul_backward_weight(dweight_, dbias_, x, x, WeightLayout::in_out);
        std::vector<float> weight(SIZE * SIZE), bias(SIZE);
        backend.download(weight.data(), dweight_);
        backend.download(bias.data(), dbias_);
        return {weight[0], bias[0]};
    }
    void all() {
        forward();
        backward();
        check_equal(weight_and_bias(), std::array{float(SIZE), float(SIZE)}, "gradients");
    }
    int fusions(const char* line) { return count_lines(backend.plans(), line); }
    int64_t launches(void (Layer::*op)()) {
        const int64_t before = launch_count();
        (this->*op)();
        return launch_count() - before;
    }

private:
    static constexpr size_t SIZE = 64;

    Tensor make(DType dtype) {
        const int64_t size = SIZE;
        return {backend.allocate(SIZE * SIZE * size_t(dtype_bytes(dtype))), size, size, size, dtype};
    }

    Tensor x_, weight_, pre_, out_, dpre_, dhidden_, dweight_, dbias_;
};

}  // namespace dllm::emulated
