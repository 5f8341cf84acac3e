// The devices of this machine, by name.
#pragma once

#include "../backend.h"

#include <napi.h>

#include <memory>
#include <string>

namespace dllm::bindings {

// With f32 or bf16 matrix products. Throws ERR_CONFIG for a name that is none and ERR_DEVICE for a device that cannot
// be used, with the reason.
std::unique_ptr<Backend> make_backend(const std::string& device, DType dtype);

// listDevices(): Promise<NativeDevice[]>
Napi::Value list_devices(const Napi::CallbackInfo& info);

}  // namespace dllm::bindings
