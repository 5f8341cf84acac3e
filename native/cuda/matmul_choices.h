// The text in which choices of plans are saved. It is read from disk, so every number in it is checked.
#pragma once

#include "matmul_plan.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dllm::cuda {

// Whether an epilogue is used: yes, or why not. Without memory or time nothing was tried, which holds for a process.
enum class Fused : uint8_t { yes, slower, not_offered, failed, no_memory, no_time };

struct FusionChoice {
    Fused fused;
    std::string error;     // of what failed
    bool derived = false;  // from the same product with other rows, and then not saved
};

struct MatmulChoices {
    struct Plan {
        MatmulKey key;
        AlgorithmId algorithm;
        Chosen chosen;
    };
    struct Fusion {
        MatmulKey key;
        FusionChoice choice;
    };

    std::string device;
    int64_t cublas_version;
    std::vector<Plan> plans;
    std::vector<Fusion> fusions;
};

std::string write_choices(const MatmulChoices& choices);
// Throws ERR_CHECKPOINT that names the line and what is wrong with it.
MatmulChoices read_choices(std::string_view text);

}  // namespace dllm::cuda
