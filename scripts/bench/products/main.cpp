// Times matrix products as training calls them, warm and alone. Each input line `KIND ROWS IN OUT SECONDS [DTYPE]`
// (KIND forward, input or weight; DTYPE float32, unless given, or bfloat16) answers one JSON line {"seconds": [...]}:
// every call's time, for that many seconds.
#include "cpu/kernels.h"
#include "cpu/thread_pool.h"
#include "model.h"
#include "rng.h"

#include <chrono>
#include <cstdio>
#include <exception>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace dllm;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

class Matrix {
public:
    Matrix(Backend& backend, int64_t rows, int64_t cols)
        : backend_(backend), tensor_{backend.allocate(size_t(rows * cols) * sizeof(float)), rows, cols, cols} {
        for (int64_t i = 0; i < rows * cols; i++)
            tensor_.f32()[i] = float(random_bits(philox_key(1, i), Stream::window, 0, 0, 0)) * 0x1p-31f - 1;
    }
    ~Matrix() { backend_.release(tensor_.data); }
    Matrix(const Matrix&) = delete;
    Matrix& operator=(const Matrix&) = delete;

    operator Tensor() const { return tensor_; }

private:
    Backend& backend_;
    Tensor tensor_;
};

// x (rows, in), weight (in, out), dout (rows, out); the weight's gradient accumulates, as in training
std::vector<double> time_product(Backend& backend, const std::string& kind, int64_t rows, int64_t in, int64_t out,
                                 double seconds) {
    const Matrix x(backend, rows, in), y(backend, rows, out), weight(backend, in, out);
    const auto call = [&] {
        if (kind == "forward") return backend.matmul_forward(y, x, weight, {}, {}, WeightLayout::in_out);
        if (kind == "input") return backend.matmul_backward_input(x, y, weight, WeightLayout::in_out);
        if (kind == "weight") return backend.matmul_backward_weight(weight, {}, x, y, WeightLayout::in_out);
        throw std::runtime_error("kind is " + kind + "; accepted: forward, input, weight");
    };
    call();
    std::vector<double> times;
    for (const double end = now() + seconds; now() < end || times.size() < 3;) {
        const double begin = now();
        call();
        times.push_back(now() - begin);
    }
    return times;
}

}  // namespace

int main() {
    try {
        const auto backend = make_cpu_backend(), bfloat16 = make_cpu_backend(DType::bf16);
        std::printf("{\"path\": \"%s\", \"threads\": %d}\n", backend->name(), thread_limit());
        std::fflush(stdout);
        for (std::string line; std::getline(std::cin, line);) {
            std::istringstream words(line);
            std::string kind, dtype;
            int64_t rows, in, out;
            double seconds;
            if (!(words >> kind >> rows >> in >> out >> seconds))
                throw std::runtime_error("not KIND ROWS IN OUT SECONDS [DTYPE]: " + line);
            if (words >> dtype && dtype != "float32" && dtype != "bfloat16")
                throw std::runtime_error("the dtype is " + dtype + "; accepted: float32, bfloat16");
            const char* separator = "{\"seconds\": [";
            for (const double time :
                 time_product(dtype == "bfloat16" ? *bfloat16 : *backend, kind, rows, in, out, seconds)) {
                std::printf("%s%.6g", separator, time);
                separator = ", ";
            }
            std::printf("]}\n");
            std::fflush(stdout);
        }
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
