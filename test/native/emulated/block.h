// One block of threads, each a fiber: who may run, who waits where, and whether what they wait for can come.
#pragma once

#include "async_copy.h"
#include "async_proxy.h"
#include "fiber.h"
#include "grid.h"
#include "shared_memory.h"
#include "thread_order.h"
#include "threads.h"
#include "warpgroup.h"

#include <cuda_runtime.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

namespace dllm::emulated {

class Block {
public:
    void begin_launch(const Launch& launch, const ThreadOrder& order);
    // Runs all threads of the i-th block to their ends. What a thread throws comes out here, and so does a Fault where
    // threads wait for what cannot come.
    void run(int64_t i);

    // For the thread that is running.
    void wait_at_barrier(const std::source_location& where);
    void meet(const Meeting& meeting, void* slot, void (*complete)(const Lanes&));
    [[noreturn]] void fault_of_thread(const std::string& what) const;
    int lane() const { return running_->number % LANES; }
    int thread_number() const { return running_->number; }
    PendingCopies& copies() { return running_->copies; }

    [[noreturn]] void fault_of_block(const std::string& what) const;
    const SharedMemory& shared() const { return shared_; }
    AsyncProxy& async_proxy() { return async_proxy_; }
    const AsyncProxy& async_proxy() const { return async_proxy_; }
    Warpgroups& warpgroups() { return warpgroups_; }

private:
    static constexpr int LANES = 32;

    enum class State { ready, at_barrier, in_meeting, ended };

    struct Thread {
        Block* block;
        int number;
        uint3 index;
        State state;
        Meeting waits_in;  // if at the barrier or in a meeting
        void* slot;
        PendingCopies copies;
        std::unique_ptr<Fiber> fiber;
    };

    // The lanes that have reached a meeting, while others have not.
    struct Gathering {
        Meeting meeting;
        unsigned arrived;
    };

    struct Warp {
        int number;
        unsigned lanes;
        unsigned ready;
        std::vector<Gathering> gatherings;
    };

    static void run_thread(void* thread);
    void prepare();
    void run_threads();
    void run_warp(Warp& warp);
    Thread& next_lane(Warp& warp);
    void hand_on();
    bool pass_barrier();
    void restart_fibers();
    Thread& thread(int number) { return *threads_[size_t(number)]; }
    Warp& own_warp() { return warps_[size_t(running_->number / LANES)]; }

    // block_faults.cpp
    [[noreturn]] void fault_of_waiting();
    [[noreturn]] void fault_between(Thread& waiting, const Thread& other);

    Launch launch_;
    std::vector<std::unique_ptr<Thread>> threads_;  // as many as any launch needed so far
    std::vector<Warp> warps_;
    ThreadOrder order_;
    std::vector<int> warp_order_;
    SharedMemory shared_;
    AsyncProxy async_proxy_;
    Warpgroups warpgroups_;
    int count_ = 0;  // threads of the block
    int ended_ = 0;
    int at_barrier_ = 0;
    unsigned turns_ = 0;  // lanes of the running warp that wait for theirs in this round
    Thread* running_ = nullptr;
    std::exception_ptr thrown_;  // by the thread that ran last
};

// The one that runs, or ran last: there is one at a time.
Block& running_block();

bool same_meeting(const Meeting& a, const Meeting& b);

}  // namespace dllm::emulated
