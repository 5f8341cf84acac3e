// The addon's entry: what it exports is NativeModule of lib/native-types.ts.
#include "../cpu/backend.h"
#include "build_id.h"
#include "dataset.h"
#include "devices.h"
#include "environment.h"
#include "errors.h"
#include "model.h"
#include "sampler.h"
#include "trainer.h"

#include <dlfcn.h>
#include <napi.h>

#include <string>

namespace dllm::bindings {
namespace {

// Node unloads an addon with the last worker that uses it, but the threads of the process-wide pool live in its code.
void keep_loaded() {
    Dl_info addon;
    if (dladdr(reinterpret_cast<void*>(&keep_loaded), &addon) == 0 ||
        dlopen(addon.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE) == nullptr) {
        const char* reason = dlerror();
        fail(ErrorCode::native, std::string("the addon cannot be kept in memory: ") + (reason ? reason : "unknown"));
    }
}

Napi::Value allocated_bytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), double(cpu_allocated_bytes()));
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
    return result_or_exception(env, [&] {
        keep_loaded();
        Environment::install(env);
        exports.Set("buildId", BUILD_ID);
        exports.Set("listDevices", Napi::Function::New<list_devices>(env, "listDevices"));
        exports.Set("allocatedBytes", Napi::Function::New<allocated_bytes>(env, "allocatedBytes"));
        exports.Set("createModel", Napi::Function::New<ModelBinding::create>(env, "createModel"));
        exports.Set("createTrainer", Napi::Function::New<TrainerBinding::create>(env, "createTrainer"));
        exports.Set("createSampler", Napi::Function::New<SamplerBinding::create>(env, "createSampler"));
        exports.Set("openDataset", Napi::Function::New<DatasetBinding::open>(env, "openDataset"));
        exports.Set("datasetFromTokens", Napi::Function::New<DatasetBinding::from_tokens>(env, "datasetFromTokens"));
        return exports;
    });
}

}  // namespace
}  // namespace dllm::bindings

static Napi::Object initialize_addon(Napi::Env env, Napi::Object exports) {
    return dllm::bindings::initialize(env, exports);
}

NODE_API_MODULE(dllm_native, initialize_addon)
