// The devices of this machine: see devices.h.
#include "devices.h"

#include "../cpu/kernels.h"
#include "../cpu/thread_pool.h"
#include "../error.h"
#include "errors.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>

namespace dllm::bindings {
namespace {

constexpr const char* NO_CUDA = "this build has no CUDA backend";

bool is_cuda(const std::string& device) {
    const std::string prefix = "cuda:";
    return device.starts_with(prefix) && device.size() > prefix.size() &&
           std::all_of(device.begin() + int64_t(prefix.size()), device.end(),
                       [](unsigned char c) { return std::isdigit(c) != 0; });
}

// As the kernel calls it; empty where it does not say.
std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("model name")) continue;
        const size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
        return value == std::string::npos ? "" : line.substr(value);
    }
    return "";
}

Napi::Object describe(Napi::Env env, const char* device, const std::string& name) {
    auto object = Napi::Object::New(env);
    object.Set("device", device);
    object.Set("name", name);
    object.Set("usable", true);
    object.Set("reason", env.Null());
    object.Set("memory", env.Null());
    object.Set("details", Napi::Object::New(env));
    return object;
}

Napi::Object describe_cpu(Napi::Env env) {
    const std::string name = processor_name();
    auto cpu = describe(env, "cpu", name.empty() ? "unknown processor" : name);
    const int64_t pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page_size > 0) cpu.Set("memory", double(pages) * double(page_size));
    try {
        auto details = Napi::Object::New(env);
        details.Set("path", kernels().name);
        details.Set("bfloat16", bfloat16_products().name);
        details.Set("threads", thread_limit());
        cpu.Set("details", details);
    } catch (const Error& error) {  // DLLM_CPU, DLLM_CPU_BFLOAT16 or DLLM_THREADS asks for what is not here
        cpu.Set("usable", false);
        cpu.Set("reason", error.what());
    }
    return cpu;
}

}  // namespace

std::unique_ptr<Backend> make_backend(const std::string& device, DType dtype) {
    if (device == "cpu") return make_cpu_backend(dtype);
    if (is_cuda(device)) fail(ErrorCode::device, device + " cannot be used: " + NO_CUDA);
    fail(ErrorCode::config, "device must be 'cpu' or 'cuda:N', got '" + device + "'");
}

Napi::Value list_devices(const Napi::CallbackInfo& info) {
    return result_or_exception(info.Env(), [&]() -> Napi::Value {
        const Napi::Env env = info.Env();
        auto cuda = describe(env, "cuda:0", "CUDA");
        cuda.Set("usable", false);
        cuda.Set("reason", NO_CUDA);
        auto devices = Napi::Array::New(env, 2);
        devices.Set(0u, describe_cpu(env));
        devices.Set(1u, cuda);
        return devices;
    });
}

}  // namespace dllm::bindings
