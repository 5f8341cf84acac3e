// Every op case on the CUDA backend, whose kernels run on the emulated GPU: both types, in three orders of threads.
#include "../../../native/cuda/backend.h"
#include "fixture.h"
#include "op_cases.h"
#include "test.h"

namespace dllm {
namespace {

using namespace test;

void run_in_order(DType dtype, emulated::Order order, Buffers buffers) {
    const emulated::FreshDevice device;
    emulated::set_order(order, 1);
    const int64_t allocations = emulated::live_allocations(), handles = emulated::live_handles();
    {
        cuda::CudaBackend backend(0, dtype);
        run_op_cases(backend, buffers);
    }
    check_equal(emulated::live_allocations(), allocations, "allocations that are left");
    check_equal(emulated::live_handles(), handles, "handles that are left");
}

void run_ascending(DType dtype) { run_in_order(dtype, emulated::Order::ascending, Buffers::both); }

// Which buffers decides between the kernels of wide and of single elements, not where threads wait for each other: in
// the other orders half of them each will do.
void run_descending(DType dtype) { run_in_order(dtype, emulated::Order::descending, Buffers::tight); }
void run_shuffled(DType dtype) { run_in_order(dtype, emulated::Order::shuffled, Buffers::strided); }

TEST(emulated_ops_in_float32) { run_ascending(DType::f32); }
TEST(emulated_ops_in_float32_descending) { run_descending(DType::f32); }
TEST(emulated_ops_in_float32_shuffled) { run_shuffled(DType::f32); }
TEST(emulated_ops_in_bfloat16) { run_ascending(DType::bf16); }
TEST(emulated_ops_in_bfloat16_descending) { run_descending(DType::bf16); }
TEST(emulated_ops_in_bfloat16_shuffled) { run_shuffled(DType::bf16); }

}  // namespace
}  // namespace dllm
