// Every op case on every instruction-set path of the CPU backend, and on the float twins themselves.
#include "cpu/backend.h"
#include "cpu/kernels.h"
#include "op_cases.h"
#include "reference_backend.h"
#include "test.h"

namespace dllm {
namespace {

using namespace test;

// Plain float loops meet every tolerance, so no row asks for more than float32 can give.
TEST(ops_of_the_float_twins) {
    ReferenceBackend backend;
    run_op_cases(backend);
}

TEST(ops_of_the_cpu_backend) {
    for (const std::string& path : usable_paths()) run_op_cases(*make_cpu_backend(path));
}

}  // namespace
}  // namespace dllm
