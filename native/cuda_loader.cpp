// See cuda_loader.h.
#include "cuda_loader.h"

#include "error.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

namespace dllm {

std::string cuda_module_path() {
    if (const char* path = std::getenv("DLLM_CUDA_MODULE")) return path;
    Dl_info here{};
    if (dladdr(reinterpret_cast<const void*>(&cuda_module_path), &here) == 0 || here.dli_fname == nullptr) return "";
    const std::string file = here.dli_fname;
    const size_t slash = file.rfind('/');
    return (slash == std::string::npos ? std::string() : file.substr(0, slash + 1)) + "libdllm_cuda.so";
}

const CudaModule& open_cuda_module(const std::string& path, const std::string& build_id) {
    if (access(path.c_str(), F_OK) != 0)
        fail(ErrorCode::device, "there is no CUDA module " + path + "; build it again (npx dllm-native build --force)");
    // Never closed: its kernels, its threads and the types of its errors live as long as the process.
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        const char* reason = dlerror();
        fail(ErrorCode::device, "the CUDA module cannot be opened: " + std::string(reason ? reason : path));
    }
    const auto entry = reinterpret_cast<CudaModuleEntry>(dlsym(handle, CUDA_MODULE_ENTRY));
    if (entry == nullptr) fail(ErrorCode::device, path + " is not a CUDA module: it has no " + CUDA_MODULE_ENTRY);
    const CudaModule& module = *entry();
    if (module.build_id != build_id) {
        fail(ErrorCode::device, "the CUDA module " + path + " is of build " + module.build_id + ", this is build " +
                                    build_id + "; build both again (npx dllm-native build --force)");
    }
    return module;
}

}  // namespace dllm
