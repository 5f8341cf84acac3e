// The device that a benchmark runs on, and its limits.
#pragma once

#include "backend.h"
#include "cuda_devices.h"

#include <memory>
#include <string>
#include <vector>

namespace dllm {

// Each of some rounds.
struct Limits {
    std::vector<double> arithmetic;  // multiplications and additions per second; on a CPU of one thread
    std::vector<double> copy;        // bytes per second, read and written
};

// Random values whose magnitudes are between 0.5 and 1, times 2^exponent: a GPU multiplies zeros faster than numbers,
// since they take less power. x is contiguous.
void fill(Backend& backend, Tensor x, int exponent = 0);

// Prints `"NAME": {...}` for a report: how many runs were replayed. Why one could not be recorded goes to standard
// error, since that text is none of JSON.
void print_recordings(const char* name, const RecordingCounts& counts);

class BenchDevice {
public:
    // device: cpu or cuda:N, through the module that the addon would open. dtype: float32 or bfloat16.
    BenchDevice(const std::string& device, const std::string& dtype);

    std::unique_ptr<Backend> make() const;
    // What computes: an instruction set, or the GPU's name.
    std::string path() const;
    int threads() const;
    // On a GPU those of a square product of that many rows and of copying a block of memory much larger than its
    // caches.
    Limits measure(int64_t rows) const;

private:
    bool is_cpu() const { return !cuda_; }

    DType dtype_;
    std::unique_ptr<CudaDevices> cuda_;
    int64_t number_ = 0;
};

}  // namespace dllm
