// Which kernels compute attention in bfloat16.
#pragma once

namespace dllm::cuda {

// wgmma: those of sm90a/, for compute capability 9.0 alone; portable: those that run everywhere.
enum class AttentionKernels { portable, wgmma };

// DLLM_CUDA_ATTENTION=portable|wgmma, portable if it is not set. Throws ERR_CONFIG, also where wgmma cannot run.
AttentionKernels attention_kernels_from_environment(int device);

}  // namespace dllm::cuda
