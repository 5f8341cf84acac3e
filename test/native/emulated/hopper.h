// A fresh device of compute capability 9.0, on which backends attend with the matrix products of warpgroups.
#pragma once

#include "fixture.h"

namespace dllm::emulated {

struct Hopper : FreshDevice {
    Hopper() { set_compute_capability(90); }

private:
    EnvironmentSetting attention_{"DLLM_CUDA_ATTENTION", "wgmma"};
};

}  // namespace dllm::emulated
