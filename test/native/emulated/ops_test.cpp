// Every op case on the CUDA backend, whose kernels run on the emulated GPU: both types, in three orders of threads.
#include "../../../native/cuda/backend.h"
#include "fixture.h"
#include "op_cases.h"
#include "test.h"

#include <algorithm>
#include <map>
#include <set>

namespace dllm {
namespace {

using namespace test;

using Choice = std::function<bool(const OpCase&)>;

void run_in_order(DType dtype, emulated::Order order, const std::function<Choice(Backend&)>& choice = {}) {
    const emulated::FreshDevice device;
    emulated::set_order(order, 1);
    const int64_t allocations = emulated::live_allocations(), handles = emulated::live_handles();
    {
        cuda::CudaBackend backend(0, dtype);
        run_op_cases(backend, choice ? choice(backend) : Choice{});
    }
    check_equal(emulated::live_allocations(), allocations, "allocations that are left");
    check_equal(emulated::live_handles(), handles, "handles that are left");
}

TEST(emulated_ops_in_float32) { run_in_order(DType::f32, emulated::Order::ascending); }
TEST(emulated_ops_in_float32_descending) { run_in_order(DType::f32, emulated::Order::descending); }
TEST(emulated_ops_in_float32_shuffled) { run_in_order(DType::f32, emulated::Order::shuffled); }
TEST(emulated_ops_in_bfloat16) { run_in_order(DType::bf16, emulated::Order::ascending); }
TEST(emulated_ops_in_bfloat16_descending) { run_in_order(DType::bf16, emulated::Order::descending); }
TEST(emulated_ops_in_bfloat16_shuffled) { run_in_order(DType::bf16, emulated::Order::shuffled); }

// What follows a fault says nothing of the case that it belongs to.
TEST(emulated_op_cases_end_where_the_device_is_lost) {
    const emulated::FreshDevice device;
    const EnvironmentSetting op("DLLM_TEST_OPS", "gather_rows");
    cuda::CudaBackend backend(0, DType::f32);
    run_op_cases(backend);
    emulated::fail_launch(3);
    std::string found;
    try {
        run_op_cases(backend);
    } catch (const Failure& failure) {
        found = failure.message;
    }
    check_equal(std::count(found.begin(), found.end(), '\n'), std::ptrdiff_t(2), "lines");
    CHECK(found.find("\n    gather_rows ") != found.npos);
    CHECK(found.find("\n    and with it the device is lost") != found.npos);
}

// ---- for sanitizers, under which kernels are slow: enough cases that each kernel runs in several

std::set<const void*> kernels_of(Backend& backend, const OpCase& op_case) {
    std::set<const void*> kernels;
    emulated::list_kernels(&kernels);
    for (const Placement placement : {Placement::tight, Placement::strided}) {
        OpRun run(backend, placement, false);
        op_case.run(run);
    }
    emulated::list_kernels(nullptr);
    return kernels;
}

// The cases that are the first, second … fourth to run one of their kernels.
Choice few_of_each_kernel(Backend& backend) {
    constexpr int CASES = 4;
    return [&backend, runs = std::map<const void*, int>()](const OpCase& op_case) mutable {
        const std::set<const void*> kernels = kernels_of(backend, op_case);
        const bool chosen =
            std::any_of(kernels.begin(), kernels.end(), [&](const void* kernel) { return runs[kernel] < CASES; });
        for (const void* kernel : kernels) runs[kernel] += chosen;
        return chosen;
    };
}

TEST(emulated_kernels_in_float32) { run_in_order(DType::f32, emulated::Order::ascending, few_of_each_kernel); }

TEST(emulated_kernels_in_bfloat16) { run_in_order(DType::bf16, emulated::Order::ascending, few_of_each_kernel); }

}  // namespace
}  // namespace dllm
