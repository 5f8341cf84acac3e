// Products with epilogues on the emulated GPU: each way agrees with the twins, and measuring decides between them.
#include "cuda/backend.h"
#include "fixture.h"
#include "op_cases.h"

#include <cstdlib>
#include <string>

namespace dllm::emulated {
namespace {

// An environment variable for as long as this lives.
class Variable {
public:
    Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
    ~Variable() { unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

private:
    const char* name_;
};

void check_products(DType compute, const char* epilogues) {
    const FreshDevice fresh;
    const Variable use("DLLM_CUDA_EPILOGUES", epilogues), tune("DLLM_CUDA_TUNE", "off");
    cuda::CudaBackend backend(0, compute);
    std::string all;
    for (const test::OpCase& op_case : test::op_cases())
        if (op_case.name.starts_with("matmul")) all += test::op_case_differences(backend, op_case);
    if (!all.empty()) throw test::Failure{backend.name() + all, std::source_location::current()};
}

TEST(emulated_products_in_parts_f32) { check_products(DType::f32, "off"); }
TEST(emulated_products_in_parts_bf16) { check_products(DType::bf16, "off"); }
TEST(emulated_products_by_epilogues_f32) { check_products(DType::f32, "on"); }
TEST(emulated_products_by_epilogues_bf16) { check_products(DType::bf16, "on"); }

}  // namespace
}  // namespace dllm::emulated
