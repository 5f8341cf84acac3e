// Weights and trainer state to and from .safetensors files, under the names of the model's family.
#pragma once

#include "backend.h"
#include "parameters.h"
#include "safetensors.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dllm {

// The weights of one model in a .safetensors file. A `transformer.` prefix and the buffers that published files carry
// beside the weights are accepted.
class WeightsFile {
public:
    // Opens the file and checks that it has exactly the table's tensors, before any memory is taken for them. Throws
    // ERR_CHECKPOINT naming the file, the tensor and the rule it broke.
    WeightsFile(const std::string& path, const ParameterTable& table, const ModelConfig& config);

    // Fills a host buffer of table.size floats.
    void read(float* buffer, const ParameterTable& table) const;

private:
    SafetensorsFile file_;
    std::string prefix_;
    std::string tied_head_;  // name of a stored copy of the embedding, or empty
};

void write_weights(const std::string& path, const float* buffer, const ParameterTable& table);

struct TrainerRecord {
    int64_t completed_steps;
    int64_t updates;    // of the moments: completed steps that were not skipped
    std::string plans;  // of the backend
};

// A trainer's moments, host buffers of table.size floats, and what else it needs to continue.
void write_trainer_state(const std::string& path, const float* first_moment, const float* second_moment,
                         const TrainerRecord& record, const ParameterTable& table);
TrainerRecord read_trainer_state(float* first_moment, float* second_moment, const std::string& path,
                                 const ParameterTable& table);

}  // namespace dllm
