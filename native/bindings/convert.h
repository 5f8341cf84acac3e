// Conversions between the structs of the core and the objects of lib/native-types.ts.
#pragma once

#include "../batch.h"
#include "../canvas.h"
#include "../config.h"
#include "../parameters.h"
#include "../sampler.h"
#include "../trainer.h"
#include "field.h"

#include <napi.h>

#include <cstdint>
#include <span>
#include <vector>

namespace dllm::bindings {

// ---- from JavaScript; see Field for what they throw ----------------------------------------------
ModelConfig to_model_config(const Field& field);
TrainConfig to_train_config(const Field& field);
SampleConfig to_sample_config(const Field& field);
Batch to_batch(const Field& field);
std::vector<SampleRequest> to_sample_requests(const Field& field);

// ---- to JavaScript: arrays are copies in memory of their own -------------------------------------
// Throws ERR_OUT_OF_MEMORY.
Napi::Value to_js(Napi::Env env, std::span<const float> values);
Napi::Value to_js(Napi::Env env, std::span<const int32_t> values);
Napi::Value to_js(Napi::Env env, const std::vector<Parameter>& parameters);
Napi::Value to_js(Napi::Env env, const StepStats& stats);
Napi::Value to_js(Napi::Env env, const std::vector<Frame>& frames);

}  // namespace dllm::bindings
