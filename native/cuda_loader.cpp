// See cuda_loader.h.
#include "cuda_loader.h"

#include "error.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

namespace dllm {
namespace {

template <typename T>
T read_at(std::ifstream& file, uint64_t offset) {
    T value{};
    file.seekg(std::streamoff(offset));
    file.read(reinterpret_cast<char*>(&value), sizeof(T));
    return value;
}

// Whether a 64-bit ELF file ends before what is to be loaded of it: the system's loader would touch pages that are not
// there, which ends the process. Of other files it says itself what is wrong.
bool is_cut_short(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    const auto size = uint64_t(file.tellg());
    char identity[5] = {};
    file.seekg(0).read(identity, sizeof(identity));
    if (!file || std::memcmp(identity,
                             "\x7f"
                             "ELF\x02",
                             5) != 0)
        return false;
    const auto table = read_at<uint64_t>(file, 32);
    const auto entry_bytes = read_at<uint16_t>(file, 54), entries = read_at<uint16_t>(file, 56);
    for (uint64_t i = 0; i < entries && file; i++) {
        const uint64_t entry = table + i * entry_bytes;
        const auto type = read_at<uint32_t>(file, entry);
        const auto offset = read_at<uint64_t>(file, entry + 8), bytes = read_at<uint64_t>(file, entry + 32);
        constexpr uint32_t LOADED = 1;
        if (type == LOADED && (bytes > size || offset > size - bytes)) return true;
    }
    return !file;
}

}  // namespace

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
    if (is_cut_short(path)) fail(ErrorCode::device, "the CUDA module cannot be opened: " + path + ": file too short");
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
