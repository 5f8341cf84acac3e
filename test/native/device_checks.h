// What a CUDA backend must do, whether its GPU is a real one or the emulated one. Each throws a test failure.
#pragma once

#include "backend.h"
#include "config.h"

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>

namespace dllm {

// A new backend on the device under test.
using MakeBackend = std::function<std::unique_ptr<Backend>(DType)>;

// device_vectors.cpp: the vectors of the independent implementation
void check_model_vectors(const MakeBackend& make);
void check_model_vectors_in_bfloat16(const MakeBackend& make);
void check_optimizer_vectors(const MakeBackend& make);

// device_training.cpp
// Losses, norms, weights and the bound of 20 steps in float32 against the CPU's.
void check_same_training(const MakeBackend& make, Naming naming, ObjectiveKind objective);
// bfloat16 against float32 on the same device.
void check_training_in_bfloat16(const MakeBackend& make);
void check_bit_equal_resume(const MakeBackend& make);
// A request beyond all memory says so, and changes nothing for what follows.
void check_request_beyond_all_memory(const MakeBackend& make);
// A step that finds no memory left on the device says so; once there is some, the same trainer goes on.
void check_full_device(const MakeBackend& make);
// Two models that train at the same time, each on a thread, have the bits of each alone.
void check_two_models(const MakeBackend& make);

// attention_batch_test.cpp: the bits of sequences alone and in a ragged batch of five of them, repeated. A GPU may take
// other kernels where a batch fills it.
void check_independent_sequences(Backend& backend, const std::string& name, std::initializer_list<int64_t> head_widths,
                                 int64_t repeats);

// device_sampling.cpp: texts in float32 against the CPU's, whatever the remasking, at temperatures 0 and 1.
void check_samples(const MakeBackend& make);

// device_recordings.cpp: steps replayed as graphs have the bits of steps run op by op.
void check_replays(const MakeBackend& make, DType dtype, Naming naming);

}  // namespace dllm
