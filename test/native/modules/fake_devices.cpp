// A CUDA module with devices of which only the last can be used, and that one has no memory. Of the environment it
// takes its build id (DLLM_FAKE_BUILD) and why no device can be had (DLLM_FAKE_PROBLEM, if set).
#include "cuda_module.h"
#include "error.h"

#include <cstdlib>
#include <string>

namespace {

dllm::CudaFacts facts() {
    dllm::CudaFacts facts{13010, 13000, 130101, "80 90", {}, ""};
    if (const char* problem = std::getenv("DLLM_FAKE_PROBLEM")) {
        facts.problem = problem;
    } else {
        facts.devices = {
            {"Old GPU", int64_t(8) << 30, 75, "it is too old"},
            {"Broken GPU", 0, 0, "it does not answer"},
            {"Fake GPU", int64_t(80) << 30, 90, ""},
        };
    }
    return facts;
}

std::unique_ptr<dllm::Backend> make_backend(int, dllm::DType) {
    dllm::fail(dllm::ErrorCode::out_of_memory, "the fake GPU has no memory");
}

}  // namespace

extern "C" [[gnu::visibility("default")]] const dllm::CudaModule* dllm_cuda_module() {
    static const std::string build = std::getenv("DLLM_FAKE_BUILD");
    static const dllm::CudaModule module{build.c_str(), facts, make_backend};
    return &module;
}
