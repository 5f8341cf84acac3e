// Kernels with one fault each, which NVIDIA's compute-sanitizer must find where it finds none in ours:
//   planted_faults out_of_bounds | race | uninitialised | divergent_barrier
#include <hardware.h>

#include <cstdio>
#include <cstring>

namespace dllm::cuda {
namespace {

constexpr int THREADS = 256;

// memcheck: `out` has a thread less than the block.
__global__ void out_of_bounds(int* out) { out[thread_index()] = thread_index(); }

// racecheck: no barrier between the writes and the reads of other warps.
__global__ void race(int* out, int value) {
    int* shared = shared_memory<int>();
    shared[thread_index()] = value + thread_index();
    out[thread_index()] = shared[THREADS - 1 - thread_index()];
}

// initcheck: nothing has written `x`.
__global__ void uninitialised(int* out, const int* x) { out[thread_index()] = x[thread_index()] + 1; }

// synccheck: half of a warp comes to the barrier, the other threads end without it.
__global__ void divergent_barrier(int* out, int half) {
    int* shared = shared_memory<int>();
    shared[thread_index()] = thread_index();
    if (thread_index() >= half) return;
    sync_threads();
    out[thread_index()] = shared[half - 1 - thread_index()];
}

cudaError_t run(const char* fault) {
    constexpr size_t BYTES = THREADS * sizeof(int);
    int *out = nullptr, *x = nullptr;
    const bool is_short = std::strcmp(fault, "out_of_bounds") == 0;
    cudaError_t error = cudaMalloc(&out, is_short ? BYTES - sizeof(int) : BYTES);
    if (error == cudaSuccess) error = cudaMalloc(&x, BYTES);
    if (error != cudaSuccess) return error;
    if (is_short) {
        error = launch(out_of_bounds, 1, THREADS, 0, nullptr, out);
    } else if (std::strcmp(fault, "race") == 0) {
        error = launch(race, 1, THREADS, BYTES, nullptr, out, 1);
    } else if (std::strcmp(fault, "uninitialised") == 0) {
        error = launch(uninitialised, 1, THREADS, 0, nullptr, out, x);
    } else if (std::strcmp(fault, "divergent_barrier") == 0) {
        error = launch(divergent_barrier, 1, THREADS, BYTES, nullptr, out, WARP_SIZE / 2);
    } else {
        error = cudaErrorInvalidValue;
    }
    return error == cudaSuccess ? cudaDeviceSynchronize() : error;
}

}  // namespace
}  // namespace dllm::cuda

int main(int argc, char** argv) {
    const cudaError_t error = argc == 2 ? dllm::cuda::run(argv[1]) : cudaErrorInvalidValue;
    if (error != cudaSuccess) std::fprintf(stderr, "planted_faults: %s\n", cudaGetErrorString(error));
    return error == cudaSuccess ? 0 : 1;
}
