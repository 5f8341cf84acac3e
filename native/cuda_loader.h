// Opens the CUDA module on first use. A missing driver, library or module never takes the CPU backend down: it is the
// reason of an error.
#pragma once

#include "cuda_module.h"

#include <string>

namespace dllm {

// The module in `path`. Throws ERR_DEVICE that says why it cannot be used: no such file, a library it lacks, another
// build id.
const CudaModule& open_cuda_module(const std::string& path, const std::string& build_id);

// libdllm_cuda.so beside the file that this code is in, or what DLLM_CUDA_MODULE names.
std::string cuda_module_path();

}  // namespace dllm
