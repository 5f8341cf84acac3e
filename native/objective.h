// Objectives: each turns clean tokens into a batch of inputs, targets and loss weights. Noise is drawn on the host and
// is a function of (seed, step) alone.
#pragma once

#include "batch.h"
#include "config.h"
#include "dataset.h"

#include <cstdint>

namespace dllm {

// Sequences of one evaluation batch.
constexpr int64_t EVAL_BATCH_SIZE = 64;

// The batch of optimizer step `step` (from 0). Throws ERR_DATA when the dataset is shorter than one sequence.
Batch training_batch(const TrainConfig& config, const ModelConfig& model, const Dataset& dataset, int64_t step);

// The index-th of the fixed batches that evaluation averages over: stratified times, full length, the same windows
// and noise for every run.
Batch evaluation_batch(const TrainConfig& config, const ModelConfig& model, const Dataset& dataset, int64_t index);

}  // namespace dllm
