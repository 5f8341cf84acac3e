// Stopwatch: see stopwatch.h.
#include "stopwatch.h"

#include <algorithm>

namespace dllm::cuda {
namespace {

size_t cache_bytes(const Context& context) {
    int bytes = 0;
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, context.device()), "cudaDeviceGetAttribute");
    return size_t(std::max(bytes, 1));
}

}  // namespace

Stopwatch::Stopwatch(Context& context)
    : context_(context), cache_bytes_(cache_bytes(context)), cache_(context, cache_bytes_) {
    try {
        for (int run = 0; run < RUNS; run++) {
            check(cudaEventCreate(&begin_[run]), "cudaEventCreate");
            check(cudaEventCreate(&end_[run]), "cudaEventCreate");
        }
    } catch (...) {
        close();
        throw;
    }
}

Stopwatch::~Stopwatch() { close(); }

void Stopwatch::close() {
    for (int run = 0; run < RUNS; run++)
        for (const cudaEvent_t event : {begin_[run], end_[run]})
            if (event != nullptr) cudaEventDestroy(event);
}

std::optional<float> Stopwatch::median(const std::function<bool()>& work) {
    const cudaStream_t stream = context_.stream();
    if (!work()) return {};
    for (int run = 0; run < RUNS; run++) {
        // Empties the cache, as the operands of a step are rarely in it, and keeps the device busy meanwhile, so that
        // the time to enqueue does not count.
        check(cudaMemsetAsync(cache_.data(), 0, cache_bytes_, stream), "cudaMemsetAsync");
        check(cudaEventRecord(begin_[run], stream), "cudaEventRecord");
        if (!work()) return {};
        check(cudaEventRecord(end_[run], stream), "cudaEventRecord");
    }
    check(cudaEventSynchronize(end_[RUNS - 1]), "cudaEventSynchronize");
    float times[RUNS];
    for (int run = 0; run < RUNS; run++)
        check(cudaEventElapsedTime(&times[run], begin_[run], end_[run]), "cudaEventElapsedTime");
    std::nth_element(times, times + RUNS / 2, times + RUNS);
    return times[RUNS / 2];
}

}  // namespace dllm::cuda
