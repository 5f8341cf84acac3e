// The CUDA devices of this process: see cuda_devices.h.
#include "cuda_devices.h"

#include "cuda_loader.h"
#include "error.h"

#include <unistd.h>

namespace dllm {

std::string CudaDevices::module_file() const { return access(path_.c_str(), F_OK) == 0 ? path_ : ""; }

const CudaModule* CudaDevices::module() {
    std::call_once(opened_, [this] {
        if (!build_.has_module && module_file().empty()) {
            problem_ = "this build has no CUDA module: " + build_.reason;
            return;
        }
        try {
            module_ = &open_cuda_module(path_, build_.id);
        } catch (const Error& error) {
            problem_ = error.what();
        }
    });
    return module_;
}

CudaFacts CudaDevices::facts() {
    if (const CudaModule* opened = module()) return opened->facts();
    CudaFacts none;
    none.problem = problem_;
    return none;
}

std::unique_ptr<Backend> CudaDevices::make_backend(int64_t device, DType compute) {
    const CudaFacts found = facts();
    std::string problem = found.problem;
    if (problem.empty()) {
        const auto count = int64_t(found.devices.size());
        problem = device < count ? found.devices[size_t(device)].problem
                                 : "there " + std::string(count == 1 ? "is" : "are") + " " + std::to_string(count) +
                                       " CUDA device" + (count == 1 ? "" : "s") + ", counted from 0";
    }
    if (!problem.empty()) fail(ErrorCode::device, "cuda:" + std::to_string(device) + " cannot be used: " + problem);
    return module()->make_backend(int(device), compute);
}

}  // namespace dllm
