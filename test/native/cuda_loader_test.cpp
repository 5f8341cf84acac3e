// The CUDA module as it is missing, broken, or of another build: each is an ERR_DEVICE that says so.
#include "cuda_loader.h"
#include "environment_setting.h"
#include "error.h"
#include "small_training.h"
#include "test.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace dllm {
namespace {

using namespace test;

void check_refused(const std::string& path, const std::string& reason) {
    check_throws([&] { open_cuda_module(path, "this-build"); }, ErrorCode::device, reason);
}

TEST(cuda_module_that_is_absent) { check_refused("/nonexistent/libdllm_cuda.so", "there is no CUDA module"); }

TEST(cuda_module_that_is_no_library) {
    const TemporaryFolder folder;
    std::ofstream(folder.file("libdllm_cuda.so")) << "not a library";
    check_refused(folder.file("libdllm_cuda.so"), "cannot be opened");
}

TEST(cuda_module_that_was_cut_short) {
    const TemporaryFolder folder;
    const std::string cut = folder.file("libdllm_cuda.so");
    for (const uintmax_t bytes : {10, 64, 200, 1000, 4096}) {  // code begins at the second page
        std::filesystem::copy_file(DLLM_OTHER_BUILD_MODULE, cut, std::filesystem::copy_options::overwrite_existing);
        std::filesystem::resize_file(cut, bytes);
        check_refused(cut, "cannot be opened");
    }
}

TEST(cuda_module_without_an_entry) {
    Dl_info library{};
    CHECK(dladdr(reinterpret_cast<const void*>(&std::abort), &library) != 0);
    check_refused(library.dli_fname, "is not a CUDA module");
}

TEST(cuda_module_of_another_build) { check_refused(DLLM_OTHER_BUILD_MODULE, "is of build another-build"); }

TEST(cuda_module_that_lacks_a_library) { check_refused(DLLM_LACKS_LIBRARY_MODULE, "cublasLtCreate"); }

TEST(cuda_module_lies_beside_the_code_that_opens_it) {
    const EnvironmentSetting module("DLLM_CUDA_MODULE", nullptr);
    const std::string path = cuda_module_path();
    CHECK(path.ends_with("libdllm_cuda.so"));
}

TEST(cuda_module_lies_where_the_environment_says) {
    const EnvironmentSetting module("DLLM_CUDA_MODULE", "/elsewhere/module.so");
    check_equal(cuda_module_path(), std::string("/elsewhere/module.so"), "path");
}

}  // namespace
}  // namespace dllm
