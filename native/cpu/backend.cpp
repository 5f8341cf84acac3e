// Makes CPU backends: the instruction-set path and what matrix products are computed in.
#include "backend.h"

#include "../error.h"

namespace dllm {

namespace {

// Such as "avx512", or "avx512, bfloat16 by amx".
std::string name_of(const Kernels& kernels, const ProductKernels& products) {
    const std::string path = kernels.name;
    return &products == &kernels.float32 ? path : path + ", bfloat16 by " + products.name;
}

}  // namespace

CpuBackend::CpuBackend(const Kernels& kernels, const ProductKernels& products)
    : kernels_(kernels), products_(products), name_(name_of(kernels, products)) {}

std::unique_ptr<Backend> make_cpu_backend(DType products) {
    if (products == DType::f32) return std::make_unique<CpuBackend>(kernels(), kernels().float32);
    if (products == DType::bf16) return std::make_unique<CpuBackend>(kernels(), bfloat16_products());
    fail(ErrorCode::native, "matrix products are in f32 or bf16");
}

std::unique_ptr<Backend> make_cpu_backend(const std::string& path) {
    const Kernels& kernels = kernels_of(path);
    return std::make_unique<CpuBackend>(kernels, kernels.float32);
}

std::unique_ptr<Backend> make_cpu_backend(const std::string& path, const std::string& bfloat16_products) {
    const Kernels& kernels = kernels_of(path);
    return std::make_unique<CpuBackend>(kernels, bfloat16_products_of(kernels, bfloat16_products));
}

}  // namespace dllm
