// CUDA's qualifiers for a host compiler: kernels are plain functions here. There is no __shared__, so that shared
// memory can only come from shared_memory<T>().
#pragma once

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
