// log2 e, of e^x = fast_exp2(x LOG2_E), and its inverse.
#pragma once

namespace dllm::cuda {

constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

}  // namespace dllm::cuda
