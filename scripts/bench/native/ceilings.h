// The machine's limits, measured: what no kernel can exceed.
#pragma once

#include <vector>

namespace dllm {

// Each of some rounds. Of one thread whose operands stay in registers: multiplications and additions per second.
std::vector<double> measure_arithmetic();
// Of one thread that copies between buffers far larger than the caches: bytes per second, read and written.
std::vector<double> measure_copy();

}  // namespace dllm
