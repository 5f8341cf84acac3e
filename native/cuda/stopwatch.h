// Trying work on a device: timed by events, writing to memory of its own.
#pragma once

#include "../tensor.h"
#include "context.h"

#include <deque>
#include <functional>
#include <optional>
#include <vector>

namespace dllm::cuda {

// A place like a tensor's, as wide and as badly aligned, for what a trial writes.
class Elsewhere {
public:
    // Throws ERR_OUT_OF_MEMORY.
    Elsewhere(Context& context, const Tensor& like)
        : tensor_(like), offset_(reinterpret_cast<uintptr_t>(like.data) % 256),
          memory_(context, offset_ + bytes(like)) {
        tensor_.data = memory_.data() + offset_;
    }

    const Tensor& tensor() const { return tensor_; }

private:
    static size_t bytes(const Tensor& x) {
        return size_t((x.rows - 1) * x.stride + x.cols) * size_t(dtype_bytes(x.dtype));
    }

    Tensor tensor_;
    size_t offset_;
    DeviceMemory memory_;
};

class Stopwatch {
public:
    // Enqueues something on the context's stream and says whether it could.
    using Work = std::function<bool()>;

    // Throws ERR_DEVICE.
    explicit Stopwatch(Context& context);
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

    // Milliseconds of each: the median of some runs after one that does not count. They take turns, so that a clock
    // that rises or falls meanwhile favours none. Nothing for what could not be enqueued, and for what had not been
    // tried after so many seconds. Work enqueued before is waited for first. Throws ERR_OUT_OF_MEMORY where there is
    // none as large as the cache, ERR_DEVICE if the device fails.
    std::vector<std::optional<float>> medians(const std::vector<Work>& works, double most_seconds);

    // Spent so far.
    double seconds() const { return seconds_; }

private:
    static constexpr int RUNS = 5;

    struct Lap {
        CudaEvent begin, end;
    };
    // What is timed, its laps and its times so far.
    struct Entrant {
        size_t number;
        const Work* work;
        Lap* lap;
        bool could;  // be enqueued
        std::vector<float> times;
    };

    void empty_cache(const DeviceMemory& cache);
    // Whether it could be enqueued; then it has also run.
    bool try_once(const Work& work, const DeviceMemory& cache);
    void warm_up(const Work& work, const DeviceMemory& cache);
    // Adds a time to each; leaves out what can be enqueued no longer.
    void run_round(std::vector<Entrant>& entrants, const DeviceMemory& cache);

    Context& context_;
    size_t cache_bytes_;
    std::deque<Lap> laps_;
    bool is_warm_ = false;
    double seconds_ = 0;
};

}  // namespace dllm::cuda
