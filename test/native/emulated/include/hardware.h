// The emulated twin of native/cuda/hardware/hardware.h: the same names, run by the host.
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
