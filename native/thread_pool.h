// The process's one thread pool: splits a loop over threads, the caller included.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace dllm {

// Most threads a loop may use: DLLM_THREADS, else the number of cores. Throws ERR_CONFIG for a bad DLLM_THREADS.
int thread_limit();
void set_thread_limit(int threads);

// Tells the core that this thread is spinning, by an instruction that cpu/isa/paths_*.cpp know.
void relax();

// A borrowed callable: no allocation, valid only while the callable lives.
class LoopBody {
public:
    template <class Function>
    explicit LoopBody(Function& function)
        : context_(const_cast<void*>(static_cast<const void*>(std::addressof(function)))),
          call_([](void* context, int64_t index) { (*static_cast<Function*>(context))(index); }) {}

    void operator()(int64_t index) const { call_(context_, index); }

private:
    void* context_;
    void (*call_)(void*, int64_t);
};

void run_parallel(int64_t count, LoopBody body);

// Calls body(0) ... body(count - 1), in any order and on any threads, and returns when all are done. The first
// exception stops the loop and reaches the caller. A loop inside a loop runs serially.
template <class Function>
void parallel_for(int64_t count, Function&& function) {
    run_parallel(count, LoopBody(function));
}

// The same over ranges [begin, end) of at most `grain` indices.
template <class Function>
void parallel_ranges(int64_t count, int64_t grain, Function&& function) {
    parallel_for((count + grain - 1) / grain, [&](int64_t index) {
        const int64_t begin = index * grain;
        function(begin, begin + grain < count ? begin + grain : count);
    });
}

}  // namespace dllm
