// The ops that read a step's seed, statistics and schedule from device memory, on the emulated GPU.
#include "cuda/backend.h"
#include "op_cases.h"
#include "test.h"

namespace dllm {
namespace {

using namespace test;

void check_cases(Backend& backend) {
    std::string all;
    for (const OpCase& op_case : op_cases()) {
        for (const char* op : {"adamw", "moving_average", "dropout", "global_norm"})
            if (op_case.name.starts_with(op)) all += op_case_differences(backend, op_case);
    }
    if (!all.empty())
        throw Failure{join(backend.name(), " differs from the twins", all), std::source_location::current()};
}

TEST(emulated_updates_equal_their_twins) {
    cuda::CudaBackend float32(0, DType::f32), bfloat16(0, DType::bf16);
    check_cases(float32);
    check_cases(bfloat16);
}

}  // namespace
}  // namespace dllm
