// Stopwatch: see stopwatch.h.
#include "stopwatch.h"

#include <algorithm>
#include <chrono>

namespace dllm::cuda {
namespace {

size_t cache_bytes(const Context& context) {
    int bytes = 0;
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, context.device()), "cudaDeviceGetAttribute");
    return size_t(std::max(bytes, 1));
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

Stopwatch::Stopwatch(Context& context)
    : context_(context), cache_bytes_(cache_bytes(context)), cache_(context, cache_bytes_) {}

// The operands of a step are rarely in it. It also keeps the device busy while work is enqueued, so that the time for
// that does not count.
void Stopwatch::empty_cache() {
    check(cudaMemsetAsync(cache_.data(), 0, cache_bytes_, context_.stream()), "cudaMemsetAsync");
}

bool Stopwatch::try_once(const Work& work) {
    empty_cache();
    const bool could = work();
    check(cudaStreamSynchronize(context_.stream()), "cudaStreamSynchronize");
    return could;
}

// A device that has idled runs slower at first.
void Stopwatch::warm_up(const Work& work) {
    constexpr double SECONDS = 0.02;
    for (const double begin = now(); !is_warm_; is_warm_ = now() - begin > SECONDS) try_once(work);
}

void Stopwatch::run_round(std::vector<Entrant>& entrants) {
    const cudaStream_t stream = context_.stream();
    for (Entrant& entrant : entrants) {
        empty_cache();
        check(cudaEventRecord(entrant.lap->begin, stream), "cudaEventRecord");
        entrant.could = (*entrant.work)();
        check(cudaEventRecord(entrant.lap->end, stream), "cudaEventRecord");
    }
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    std::erase_if(entrants, [](const Entrant& entrant) { return !entrant.could; });
    for (Entrant& entrant : entrants)
        check(cudaEventElapsedTime(&entrant.times.emplace_back(), entrant.lap->begin, entrant.lap->end),
              "cudaEventElapsedTime");
}

std::vector<std::optional<float>> Stopwatch::medians(const std::vector<Work>& works, double most_seconds) {
    while (laps_.size() < works.size()) laps_.emplace_back();
    const double begin = now();
    const auto is_late = [&] { return now() - begin > most_seconds; };
    std::vector<Entrant> entrants;
    for (size_t number = 0; number < works.size() && (entrants.empty() || !is_late()); number++)
        if (try_once(works[number])) entrants.push_back({number, &works[number], &laps_[number], true, {}});
    if (!entrants.empty()) warm_up(*entrants.front().work);
    for (int run = 0; run < RUNS && (run == 0 || !is_late()); run++) run_round(entrants);

    std::vector<std::optional<float>> found(works.size());
    for (Entrant& entrant : entrants) {
        const auto middle = entrant.times.begin() + int64_t(entrant.times.size() / 2);
        std::nth_element(entrant.times.begin(), middle, entrant.times.end());
        found[entrant.number] = *middle;
    }
    return found;
}

}  // namespace dllm::cuda
