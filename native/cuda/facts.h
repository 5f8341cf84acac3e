// What there is to compute on: the driver, the libraries, the devices and why one of them cannot be used.
#pragma once

#include "../cuda_module.h"

#include <string>

namespace dllm::cuda {

// architectures: what the kernels were compiled for, such as "80 90". Never throws for want of a device or a driver.
CudaFacts find_devices(const std::string& architectures);

// The same with the devices that have failed since.
CudaFacts with_failures(CudaFacts facts);

// Code for one architecture runs on later ones of its generation, and the PTX of the newest on all later ones.
bool has_kernels(const std::string& architectures, int compute_capability);

}  // namespace dllm::cuda
