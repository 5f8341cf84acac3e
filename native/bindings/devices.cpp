// The devices of this machine: see devices.h.
#include "devices.h"

#include "../cpu/kernels.h"
#include "../cuda_devices.h"
#include "../cuda_loader.h"
#include "../error.h"
#include "../thread_pool.h"
#include "build_id.h"
#include "errors.h"
#include "job_queue.h"

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace dllm::bindings {
namespace {

// A NativeDevice of lib/native-types.ts, gathered away from the JavaScript thread.
struct Device {
    std::string device, name;
    std::string reason;  // why it cannot be used; empty where it can
    double memory = 0;   // bytes; 0: unknown
    std::vector<std::pair<const char*, std::variant<double, std::string>>> details;
};

// One for the process, shared by its JavaScript environments, and never destroyed: jobs may run while the process ends.
CudaDevices& cuda_devices() {
    const bool expected = CUDA_BUILT || std::getenv("DLLM_CUDA_MODULE") != nullptr;
    static CudaDevices& devices = *new CudaDevices(cuda_module_path(), {BUILD_ID, expected, CUDA_REASON});
    return devices;
}

// The N of 'cuda:N'; one that is too large for a number counts as the largest.
std::optional<int64_t> cuda_number(const std::string& device) {
    const std::string prefix = "cuda:";
    if (!device.starts_with(prefix)) return std::nullopt;
    const char* end = device.data() + device.size();
    int64_t number = -1;
    const auto [rest, error] = std::from_chars(device.data() + prefix.size(), end, number);
    if (rest != end || device[prefix.size()] == '-') return std::nullopt;
    if (error == std::errc::result_out_of_range) return INT64_MAX;
    return error == std::errc() ? std::optional(number) : std::nullopt;
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

Device find_cpu() {
    const std::string name = processor_name();
    Device cpu{"cpu", name.empty() ? "unknown processor" : name, "", 0, {}};
    const int64_t pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page_size > 0) cpu.memory = double(pages) * double(page_size);
    try {
        cpu.details = {
            {"path", kernels().name}, {"bfloat16", bfloat16_products().name}, {"threads", double(thread_limit())}};
    } catch (const Error& error) {  // DLLM_CPU, DLLM_CPU_BFLOAT16 or DLLM_THREADS asks for what is not here
        cpu.reason = error.what();
    }
    return cpu;
}

// 130101 -> "13.1.1"
std::string cublas_version(int64_t version) {
    return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
           std::to_string(version % 100);
}

std::vector<Device> find_cuda() {
    const CudaFacts facts = cuda_devices().facts();
    Device common{"cuda:0", "CUDA", facts.problem, 0, {}};
    if (const std::string file = cuda_devices().module_file(); !file.empty()) common.details = {{"module", file}};
    if (facts.driver_version > 0)
        common.details.emplace_back("driver", "CUDA " + cuda_version_text(facts.driver_version));
    if (facts.runtime_version > 0) {  // the module was opened
        common.details.emplace_back("runtime", "CUDA " + cuda_version_text(facts.runtime_version));
        common.details.emplace_back("cublas", cublas_version(facts.cublas_version));
        common.details.emplace_back("architectures", facts.architectures);
    }
    if (!facts.problem.empty()) return {common};
    std::vector<Device> devices;
    for (const CudaDevice& found : facts.devices) {
        Device device = common;
        device.device = "cuda:" + std::to_string(devices.size());
        device.name = found.name;
        device.reason = found.problem;
        device.memory = double(found.memory);
        if (found.compute_capability > 0)
            device.details.emplace(device.details.begin(), "computeCapability",
                                   capability_text(found.compute_capability));
        devices.push_back(std::move(device));
    }
    return devices;
}

Napi::Object to_js(Napi::Env env, const Device& device) {
    auto details = Napi::Object::New(env);
    for (const auto& [key, value] : device.details)
        std::visit([&, name = key](const auto& held) { details.Set(name, held); }, value);
    auto object = Napi::Object::New(env);
    object.Set("device", device.device);
    object.Set("name", device.name);
    object.Set("usable", device.reason.empty());
    object.Set("reason", device.reason.empty() ? env.Null() : Napi::String::New(env, device.reason));
    object.Set("memory", device.memory > 0 ? Napi::Number::New(env, device.memory) : env.Null());
    object.Set("details", details);
    return object;
}

// The queue of a single job; the job holds it.
struct SingleUse {
    explicit SingleUse(Napi::Env env) : queue(JobQueue::start(env)) {}
    ~SingleUse() { queue->close(); }
    SingleUse(const SingleUse&) = delete;
    SingleUse& operator=(const SingleUse&) = delete;

    const std::shared_ptr<JobQueue> queue;
};

}  // namespace

std::unique_ptr<Backend> make_backend(const std::string& device, DType dtype) {
    if (device == "cpu") return make_cpu_backend(dtype);
    if (const auto number = cuda_number(device)) return cuda_devices().make_backend(*number, dtype);
    fail(ErrorCode::config, "device must be 'cpu' or 'cuda:N', got '" + device + "'");
}

Napi::Value list_devices(const Napi::CallbackInfo& info) {
    return promise_or_rejection(info.Env(), [&] {
        const auto use = std::make_shared<SingleUse>(info.Env());
        auto work = [] {  // opening libraries and waking GPUs takes a while
            std::vector<Device> devices = find_cuda();
            devices.insert(devices.begin(), find_cpu());
            return devices;
        };
        auto convert = [use](Napi::Env env, const std::vector<Device>& devices) -> Napi::Value {
            auto array = Napi::Array::New(env, devices.size());
            for (uint32_t i = 0; i < devices.size(); i++) array.Set(i, to_js(env, devices[i]));
            return array;
        };
        return use->queue->run({{}, nullptr, nullptr}, std::move(work), std::move(convert));
    });
}

}  // namespace dllm::bindings
