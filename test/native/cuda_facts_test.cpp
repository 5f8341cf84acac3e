// What the CUDA module says of the machine, on the emulated GPU: which devices, why none, and which one has failed.
#include "../../native/cuda/backend.h"
#include "../../native/cuda/facts.h"
#include "emulated/fixture.h"
#include "test.h"

#include <vector>

namespace dllm::cuda {
namespace {

using namespace test;

// Whatever the environment hides.
struct FreshGpu {
    emulated::FreshDevice device;
    EnvironmentSetting visible{"CUDA_VISIBLE_DEVICES", nullptr};
};

TEST(emulated_device_is_found_with_its_facts) {
    const FreshGpu fresh;
    const CudaFacts facts = find_devices("80 90");
    check_equal(facts.problem, std::string(), "problem");
    check_equal(facts.runtime_version, 13000, "runtime");
    check_equal(facts.cublas_version, int64_t(130101), "cuBLAS");
    check_equal(facts.devices.size(), size_t(1), "devices");
    CHECK(facts.devices[0].memory > 0 && facts.devices[0].compute_capability >= 80 && !facts.devices[0].name.empty());
    check_equal(facts.devices[0].problem, std::string(), "problem of the device");
}

TEST(emulated_device_hidden_by_the_environment) {
    const FreshGpu fresh;
    emulated::set_device_count(0);
    check_equal(find_devices("90").problem, std::string("no CUDA-capable device is detected (cudaErrorNoDevice)"),
                "problem");
    const EnvironmentSetting visible("CUDA_VISIBLE_DEVICES", "");
    check_equal(find_devices("90").problem,
                std::string("CUDA_VISIBLE_DEVICES is \"\": no CUDA-capable device is detected (cudaErrorNoDevice)"),
                "problem");
}

TEST(emulated_device_without_a_driver) {
    const FreshGpu fresh;
    emulated::set_driver_version(0);
    const CudaFacts facts = find_devices("90");
    check_equal(facts.problem, std::string("there is no NVIDIA driver here (libcuda.so.1)"), "problem");
    CHECK(facts.devices.empty());
}

TEST(emulated_device_with_a_driver_that_is_too_old) {
    const FreshGpu fresh;
    emulated::set_driver_version(12040);
    check_equal(find_devices("90").problem,
                std::string("the NVIDIA driver is too old: it supports CUDA 12.4, this build needs 13.0"), "problem");
}

TEST(emulated_device_too_old_for_the_kernels) {
    const FreshGpu fresh;
    const std::string problem = find_devices("1000").devices[0].problem;
    CHECK(problem.find("and this build has kernels for 1000 and later") != std::string::npos);
}

TEST(cuda_kernels_run_on_later_architectures) {
    CHECK(has_kernels("80 90", 80) && has_kernels("80 90", 89) && has_kernels("80 90", 120));
    CHECK(has_kernels("86", 89) && !has_kernels("86", 80) && !has_kernels("80 90", 75));
    CHECK(!has_kernels("90", 86) && !has_kernels("", 90));
}

TEST(emulated_device_that_failed_stays_failed) {
    const FreshGpu fresh;
    const CudaFacts found = find_devices("80");
    CudaBackend backend(0, DType::f32), other(0, DType::f32);
    void* memory = backend.allocate(64);
    const Tensor x{memory, 1, 4, 4, DType::f32}, y{static_cast<float*>(memory) + 4, 1, 4, 4, DType::bf16};
    const std::vector<float> values(4, 1.0f);
    backend.upload(x, values.data());
    emulated::fail_launch(1);
    std::vector<float> read(4);
    const auto use = [&](CudaBackend& used) {
        used.copy(y, x);  // converts, so it is a kernel
        used.download(read.data(), x);
    };
    const std::string failure = "cuda:0 cannot be used: it failed in this process";
    check_throws([&] { use(backend); }, ErrorCode::device, failure);
    check_throws([&] { other.allocate(8); }, ErrorCode::device, failure);
    check_throws([&] { use(other); }, ErrorCode::device, "an illegal memory access was encountered");
    check_throws([&] { CudaBackend(0, DType::f32); }, ErrorCode::device, failure);
    CHECK(with_failures(found).devices[0].problem.find("it failed in this process") == 0);
    backend.release(memory);  // says nothing: arenas are freed like this
}

}  // namespace
}  // namespace dllm::cuda
