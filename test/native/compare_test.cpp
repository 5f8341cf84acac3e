// Every op case on every instruction-set path of the CPU backend, and on the float twins themselves.
#include "cpu/backend.h"
#include "op_cases.h"
#include "reference_backend.h"
#include "test.h"

#include <cstring>
#include <limits>

namespace dllm {
namespace {

using namespace test;

// Plain float loops meet every tolerance, so no row asks for more than float32 can give.
TEST(ops_of_the_float_twins) {
    ReferenceBackend backend;
    run_op_cases(backend);
}

// On the instruction set that DLLM_CPU names: the test program runs once for each.
TEST(ops_of_the_cpu_backend) { run_op_cases(*make_cpu_backend()); }

TEST(cpu_memory_is_aligned_and_counted) {
    const auto backend = make_cpu_backend();
    const size_t before = cpu_allocated_bytes();
    std::vector<void*> all;
    for (const size_t bytes : {0, 1, 63, 64, 65, 1000}) {
        all.push_back(backend->allocate(bytes));
        CHECK(reinterpret_cast<uintptr_t>(all.back()) % 64 == 0);
        std::memset(all.back(), 1, bytes);
    }
    check_equal(cpu_allocated_bytes(), before + 1193, "allocated bytes");
    for (void* data : all) backend->release(data);
    check_equal(cpu_allocated_bytes(), before, "allocated bytes after release");
    constexpr size_t TOO_MANY = std::numeric_limits<size_t>::max();
    check_throws([&] { backend->allocate(TOO_MANY); }, ErrorCode::out_of_memory, std::to_string(TOO_MANY));
}

}  // namespace
}  // namespace dllm
