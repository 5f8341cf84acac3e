// The emulated twin of CUDA's header: qualifiers, vectors, the runtime's functions, and what kernels find in scope.
#pragma once

#include "cuda_runtime_api.h"
#include "device_functions.h"
#include "qualifiers.h"
