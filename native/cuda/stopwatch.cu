// Stopwatch: see stopwatch.h.
#include "stopwatch.h"

#include <algorithm>
#include <chrono>

namespace dllm::cuda {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Adds the seconds of its life to a total.
class Timekeeper {
public:
    explicit Timekeeper(double& total) : total_(total) {}
    ~Timekeeper() { total_ += seconds(); }
    Timekeeper(const Timekeeper&) = delete;
    Timekeeper& operator=(const Timekeeper&) = delete;

    double seconds() const { return now() - begin_; }

private:
    double& total_;
    const double begin_ = now();
};

size_t cache_bytes(const Context& context) {
    int bytes = 0;
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, context.device()), "cudaDeviceGetAttribute");
    return size_t(std::max(bytes, 1));
}

}  // namespace

Stopwatch::Stopwatch(Context& context) : context_(context), cache_bytes_(cache_bytes(context)) {}

// The operands of a step are rarely in it. It also keeps the device busy while work is enqueued, so that the time for
// that does not count.
void Stopwatch::empty_cache(const DeviceMemory& cache) {
    check(cudaMemsetAsync(cache.data(), 0, cache_bytes_, context_.stream()), "cudaMemsetAsync");
}

bool Stopwatch::try_once(const Work& work, const DeviceMemory& cache) {
    empty_cache(cache);
    const bool could = work();
    check(cudaStreamSynchronize(context_.stream()), "cudaStreamSynchronize");
    return could;
}

// A device that has idled runs slower at first.
void Stopwatch::warm_up(const Work& work, const DeviceMemory& cache) {
    constexpr double SECONDS = 0.02;
    for (const double begin = now(); !is_warm_; is_warm_ = now() - begin > SECONDS) try_once(work, cache);
}

void Stopwatch::run_round(std::vector<Entrant>& entrants, const DeviceMemory& cache) {
    const cudaStream_t stream = context_.stream();
    for (Entrant& entrant : entrants) {
        empty_cache(cache);
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
    check(cudaStreamSynchronize(context_.stream()), "cudaStreamSynchronize");  // earlier work takes none of the time
    const Timekeeper timekeeper(seconds_);
    const auto is_late = [&] { return timekeeper.seconds() > most_seconds; };
    const DeviceMemory cache(context_, cache_bytes_);
    std::vector<Entrant> entrants;
    for (size_t number = 0; number < works.size() && (entrants.empty() || !is_late()); number++)
        if (try_once(works[number], cache)) entrants.push_back({number, &works[number], &laps_[number], true, {}});
    if (!entrants.empty()) warm_up(*entrants.front().work, cache);
    for (int run = 0; run < RUNS && (run == 0 || !is_late()); run++) run_round(entrants, cache);

    std::vector<std::optional<float>> found(works.size());
    for (Entrant& entrant : entrants) {
        const auto middle = entrant.times.begin() + int64_t(entrant.times.size() / 2);
        std::nth_element(entrant.times.begin(), middle, entrant.times.end());
        found[entrant.number] = *middle;
    }
    return found;
}

}  // namespace dllm::cuda
