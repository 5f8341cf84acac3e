// The 32 threads of a warp: who is who, and exchanges between their registers.
#pragma once

#include <cuda_runtime.h>

#include <concepts>
#include <cstdint>
#include <source_location>
#include <string>

#include "../threads.h"

namespace dllm::cuda {

inline constexpr int WARP_SIZE = 32;
inline constexpr unsigned FULL_WARP = 0xFFFFFFFFu;

inline int thread_index() { return int(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)); }

inline int lane_id() { return thread_index() % WARP_SIZE; }
inline int warp_id() { return thread_index() / WARP_SIZE; }

// What one lane brings to an exchange and takes from it. `source`: the lane whose value it wants.
template <class T>
struct Exchange {
    T value;
    int source;
    T result;
};

template <class T>
void exchange_lanes(const emulated::Lanes& lanes) {
    for (int lane = 0; lane < WARP_SIZE; lane++) {
        if (!lanes.contains(lane)) continue;
        auto& own = lanes.at<Exchange<T>>(lane);
        if (!lanes.contains(own.source)) {
            emulated::fault("lane " + std::to_string(lane) + " reads lane " + std::to_string(own.source) +
                            ", which is not in the mask");
        }
        own.result = lanes.at<Exchange<T>>(own.source).value;
    }
}

template <class T>
T exchange(const char* name, T v, int source, unsigned mask, std::source_location where) {
    static_assert((std::floating_point<T> || std::integral<T>)&&(sizeof(T) == 4 || sizeof(T) == 8));
    Exchange<T> own{v, source, T{}};
    emulated::meet({name, where, mask}, &own, exchange_lanes<T>);
    return own.result;
}

inline void sync_warp(unsigned mask = FULL_WARP, std::source_location where = std::source_location::current()) {
    emulated::meet({"sync_warp", where, mask}, nullptr, [](const emulated::Lanes&) {});
}

// A lane that would read beyond the warp gets its own value back.
template <class T>
T shuffle_xor(T v, int lane_mask, unsigned mask = FULL_WARP,
              std::source_location where = std::source_location::current()) {
    const int source = lane_id() ^ lane_mask;
    return exchange("shuffle_xor", v, source >= 0 && source < WARP_SIZE ? source : lane_id(), mask, where);
}

template <class T>
T shuffle(T v, int lane, unsigned mask = FULL_WARP, std::source_location where = std::source_location::current()) {
    return exchange("shuffle", v, int(unsigned(lane) % WARP_SIZE), mask, where);
}

// What one lane brings to a vote, and the ballot of all.
struct Vote {
    bool predicate;
    unsigned ballot;
};

inline void count_votes(const emulated::Lanes& lanes) {
    unsigned ballot = 0;
    for (int lane = 0; lane < WARP_SIZE; lane++) {
        if (lanes.contains(lane) && lanes.at<Vote>(lane).predicate) ballot |= 1u << lane;
    }
    for (int lane = 0; lane < WARP_SIZE; lane++) {
        if (lanes.contains(lane)) lanes.at<Vote>(lane).ballot = ballot;
    }
}

inline unsigned vote(const char* name, bool predicate, unsigned mask, std::source_location where) {
    Vote own{predicate, 0};
    emulated::meet({name, where, mask}, &own, count_votes);
    return own.ballot;
}

inline unsigned ballot(bool predicate, unsigned mask = FULL_WARP,
                       std::source_location where = std::source_location::current()) {
    return vote("ballot", predicate, mask, where);
}

inline bool any(bool predicate, unsigned mask = FULL_WARP,
                std::source_location where = std::source_location::current()) {
    return vote("any", predicate, mask, where) != 0;
}

}  // namespace dllm::cuda
