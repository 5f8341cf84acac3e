// What kernels need beyond plain C++: launching, shared memory, barriers, warp exchanges, tensor cores, asynchronous
// copies. Kernels include this one header, and those for sm_90a also warpgroup.h; the tests put headers of the same
// names in their place, which emulate it.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "arithmetic.h"
#include "async_copy.h"
#include "block.h"
#include "launch.h"
#include "memory_access.h"
#include "tensor_core.h"
#include "warp.h"
