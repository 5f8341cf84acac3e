// A tensor as what the kernels of the CPU take, beside the checks of an op's arguments.
#pragma once

#include "../op_check.h"
#include "kernels.h"

namespace dllm {

inline Rows rows_of(const Tensor& x) { return {x.f32(), x.stride}; }
inline ConstRows const_rows_of(const Tensor& x) { return {x.f32(), x.stride}; }

}  // namespace dllm
