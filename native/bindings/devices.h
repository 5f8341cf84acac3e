// The devices of this machine, by name.
#pragma once

#include "../backend.h"

#include <napi.h>

#include <memory>
#include <string>

namespace dllm::bindings {

// Throws ERR_CONFIG for a name that is none and ERR_DEVICE for a device that cannot be used, with the reason.
std::unique_ptr<Backend> make_backend(const std::string& device);

// listDevices(): NativeDevice[]
Napi::Value list_devices(const Napi::CallbackInfo& info);

}  // namespace dllm::bindings
