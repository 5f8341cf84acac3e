// Exchanges between the lanes of a warp, against plain loops over all lanes.
#include <hardware.h>

#include "fixture.h"

namespace dllm::emulated {
namespace {

using namespace cuda;

constexpr int THREADS = 64;

template <class T>
T value_of(int thread) {
    return T(1000 + 7 * thread);
}

template <class T>
__global__ void shuffle_kernel(T* out) {
    const int thread = thread_index();
    const T v = value_of<T>(thread);
    out[thread] = shuffle_xor(v, 5);
    out[THREADS + thread] = shuffle(v, 11);
    out[2 * THREADS + thread] = shuffle(v, 31 - thread % 32);
}

template <class T>
void check_shuffles() {
    const auto results = in_every_order([] {
        DeviceArray<T> out(3 * THREADS);
        succeed(launch(shuffle_kernel<T>, 1, THREADS, 0, nullptr, out.data()));
        return out.download();
    });
    std::vector<T> expected;
    for (int t = 0; t < THREADS; t++) expected.push_back(value_of<T>(t ^ 5));
    for (int t = 0; t < THREADS; t++) expected.push_back(value_of<T>(t / 32 * 32 + 11));
    for (int t = 0; t < THREADS; t++) expected.push_back(value_of<T>(t / 32 * 32 + 31 - t % 32));
    for (const std::vector<T>& result : results) check_equal(result, expected, "shuffles");
}

TEST(emulated_shuffles_of_every_type) {
    const FreshDevice fresh;
    check_shuffles<float>();
    check_shuffles<int>();
    check_shuffles<unsigned>();
    check_shuffles<double>();
    check_shuffles<int64_t>();
}

__global__ void vote_kernel(unsigned* out, unsigned bits) {
    const int lane = lane_id();
    const bool predicate = (bits >> lane & 1u) != 0;
    out[3 * lane] = ballot(predicate);
    out[3 * lane + 1] = any(predicate);
    // Two halves of the warp apart, in different places.
    if (lane < 16) {
        out[3 * lane + 2] = ballot(predicate, 0x0000FFFFu);
    } else {
        out[3 * lane + 2] = any(predicate, 0xFFFF0000u);
    }
}

TEST(emulated_votes) {
    const FreshDevice fresh;
    for (const unsigned bits : {0u, 0xFFFFFFFFu, 0x80000001u, 0x00001234u}) {
        const auto results = in_every_order([bits] {
            DeviceArray<unsigned> out(3 * WARP_SIZE);
            succeed(launch(vote_kernel, 1, WARP_SIZE, 0, nullptr, out.data(), bits));
            return out.download();
        });
        const unsigned upper = bits >> 16;
        for (const std::vector<unsigned>& result : results) {
            for (size_t lane = 0; lane < 32; lane++) {
                check_equal(result[3 * lane], bits, "ballot");
                check_equal(result[3 * lane + 1], unsigned(bits != 0), "any");
                const unsigned half = lane < 16 ? bits & 0xFFFFu : unsigned(upper != 0);
                check_equal(result[3 * lane + 2], half, "half a warp");
            }
        }
    }
}

// Every lane reads what its neighbour wrote before the barrier of the warp.
__global__ void neighbour_kernel(int* out) {
    int* shared = shared_memory<int>();
    for (int round = 0; round < 3; round++) {
        shared[thread_index()] = thread_index() + 100 * round;
        sync_warp();
        const int lane = (lane_id() + 1) % WARP_SIZE;
        out[round * THREADS + thread_index()] = shared[warp_id() * WARP_SIZE + lane];
        sync_warp();
    }
}

TEST(emulated_barrier_of_a_warp) {
    const FreshDevice fresh;
    const auto results = in_every_order([] {
        DeviceArray<int> out(3 * THREADS);
        succeed(launch(neighbour_kernel, 1, THREADS, THREADS * sizeof(int), nullptr, out.data()));
        return out.download();
    });
    for (const std::vector<int>& result : results) {
        for (int i = 0; i < 3 * THREADS; i++) {
            const int t = i % THREADS;
            check_equal(result[size_t(i)], t / 32 * 32 + (t + 1) % 32 + 100 * (i / THREADS), "neighbour");
        }
    }
}

}  // namespace
}  // namespace dllm::emulated
