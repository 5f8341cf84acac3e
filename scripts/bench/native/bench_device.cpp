// The device that a benchmark runs on: see bench_device.h.
#include "bench_device.h"

#include "arena.h"
#include "build_id.h"
#include "ceilings.h"
#include "clock.h"
#include "cpu/kernels.h"
#include "cuda_loader.h"
#include "thread_pool.h"

#include <cstdint>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <vector>

namespace dllm {
namespace {

// How many times `amount` per second: of one op, from many that are queued without a wait in between.
std::vector<double> rates_of(double amount, Backend& backend, Tensor out, const std::function<void()>& op) {
    constexpr int OPS = 10, ROUNDS = 7;
    const auto wait = [&] {
        float value[2];
        backend.download(value, Tensor{out.data, 1, 1, 1, out.dtype});
    };
    std::vector<double> rates;
    for (int round = 0; round <= ROUNDS; round++) {
        const double begin = now();
        for (int i = 0; i < OPS; i++) op();
        wait();
        if (round > 0) rates.push_back(amount * OPS / (now() - begin));
    }
    return rates;
}

}  // namespace

void fill(Backend& backend, Tensor x, int exponent) {
    std::vector<uint32_t> bits(size_t(x.count() * dtype_bytes(x.dtype) + 3) / 4);
    const uint32_t half = uint32_t(126 + exponent) << 23;  // 2^(exponent - 1) as a float
    uint32_t state = 1;
    for (uint32_t& word : bits) {
        state = state * 1664525 + 1013904223;
        const uint32_t high = (state & 0x807fffff) | half;
        word = x.dtype == DType::bf16 ? high >> 16 | (high & 0xffff0000) : high;
    }
    backend.upload(x, bits.data());
}

void print_recordings(const char* name, const RecordingCounts& counts) {
    const auto number = [](int64_t value) { return static_cast<long long>(value); };
    std::printf("\"%s\": {\"plain\": %lld, \"captured\": %lld, \"replayed\": %lld}", name, number(counts.plain),
                number(counts.captured), number(counts.replayed));
    if (!counts.failure.empty()) std::fprintf(stderr, "not recorded: %s\n", counts.failure.c_str());
}

BenchDevice::BenchDevice(const std::string& device, const std::string& dtype)
    : dtype_(dtype == "bfloat16" ? DType::bf16 : DType::f32) {
    if (dtype != "bfloat16" && dtype != "float32") throw std::runtime_error("dtype must be float32 or bfloat16");
    if (device == "cpu") return;
    if (!device.starts_with("cuda:")) throw std::runtime_error("device must be cpu or cuda:N");
    number_ = std::stoll(device.substr(5));
    cuda_ = std::make_unique<CudaDevices>(cuda_module_path(), CudaBuild{BUILD_ID, true, ""});
}

std::unique_ptr<Backend> BenchDevice::make() const {
    return is_cpu() ? make_cpu_backend(dtype_) : cuda_->make_backend(number_, dtype_);
}

std::string BenchDevice::path() const {
    if (is_cpu()) return kernels().name;
    return cuda_->facts().devices.at(size_t(number_)).name;
}

int BenchDevice::threads() const { return is_cpu() ? thread_limit() : 1; }

Limits BenchDevice::measure(int64_t rows) const {
    if (is_cpu()) return {measure_arithmetic(), measure_copy()};
    const auto backend = make();
    const int64_t columns = 32 * rows;
    Tensor left, right, product, from, to;
    const Arena arena = Arena::lay_out(*backend, [&](Arena& a) {
        for (Tensor* matrix : {&left, &right, &product}) *matrix = a.take(rows, rows, dtype_);
        for (Tensor* block : {&from, &to}) *block = a.take(rows, columns, dtype_);
    });
    for (const Tensor& x : {left, right, from}) fill(*backend, x);
    const double n = double(rows), bytes = 2 * n * double(columns) * double(dtype_bytes(dtype_));
    return {
        rates_of(2 * n * n * n, *backend, product,
                 [&] { backend->matmul_forward(product, left, right, {}, {}, WeightLayout::in_out); }),
        rates_of(bytes, *backend, to, [&] { backend->copy(to, from); }),
    };
}

}  // namespace dllm
