// The machine's limits, measured: what no kernel can exceed.
#pragma once

namespace dllm {

// Multiplications and additions per second of one thread whose operands stay in registers.
double measure_arithmetic();
// Bytes per second, read and written, that one thread copies between buffers far larger than the caches.
double measure_copy();

}  // namespace dllm
