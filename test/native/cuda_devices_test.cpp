// The CUDA devices as the addon sees them: through a module that is missing, or that has some which cannot be used.
#include "cuda_devices.h"
#include "environment_setting.h"
#include "error.h"
#include "test.h"

namespace dllm {
namespace {

using namespace test;

struct FakeModule {
    EnvironmentSetting build{"DLLM_FAKE_BUILD", "this-build"};
    CudaDevices devices{DLLM_FAKE_DEVICES_MODULE, {"this-build", true, ""}};
};

void check_unusable(CudaDevices& devices, int64_t device, const std::string& reason) {
    check_throws([&] { devices.make_backend(device, DType::f32); }, ErrorCode::device, reason);
}

TEST(cuda_devices_of_a_build_without_a_module) {
    CudaDevices devices("/nonexistent/libdllm_cuda.so", {"this-build", false, "nvcc not found"});
    check_equal(devices.facts().problem, std::string("this build has no CUDA module: nvcc not found"), "problem");
    check_equal(devices.module_file(), std::string(), "file");
    check_unusable(devices, 0, "cuda:0 cannot be used: this build has no CUDA module: nvcc not found");
}

TEST(cuda_devices_whose_module_is_lost) {
    CudaDevices devices("/nonexistent/libdllm_cuda.so", {"this-build", true, ""});
    CHECK(devices.facts().problem.find("there is no CUDA module /nonexistent/") == 0);
    check_unusable(devices, 3, "cuda:3 cannot be used: there is no CUDA module");
}

TEST(cuda_devices_that_cannot_be_had) {
    FakeModule fake;
    const EnvironmentSetting problem("DLLM_FAKE_PROBLEM", "there is no driver");
    check_equal(fake.devices.facts().problem, std::string("there is no driver"), "problem");
    check_unusable(fake.devices, 0, "cuda:0 cannot be used: there is no driver");
}

TEST(cuda_devices_of_which_some_are_usable) {
    FakeModule fake;
    check_equal(fake.devices.facts().devices.size(), size_t(3), "devices");
    check_unusable(fake.devices, 0, "cuda:0 cannot be used: it is too old");
    check_unusable(fake.devices, 1, "it does not answer");
    check_unusable(fake.devices, 3, "there are 3 CUDA devices");
    check_throws([&] { fake.devices.make_backend(2, DType::f32); }, ErrorCode::out_of_memory, "no memory");
}

}  // namespace
}  // namespace dllm
