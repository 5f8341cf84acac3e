// The machine's limits: see ceilings.h. Compiled for the processor it runs on.
#include "ceilings.h"

#include "clock.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace dllm {
namespace {

#if defined(__AVX512F__)
constexpr int WIDTH = 16;
#elif defined(__AVX__)
constexpr int WIDTH = 8;
#else
constexpr int WIDTH = 4;
#endif
using Float [[gnu::vector_size(4 * WIDTH)]] = float;

constexpr int ROUNDS = 7;
constexpr int CHAINS = 12;  // enough independent sums to hide the latency of a fused multiply-add

double arithmetic_run(int64_t rounds) {
    Float sums[CHAINS];
    for (int i = 0; i < CHAINS; i++) sums[i] = Float{} + float(i);
    const Float factor = Float{} + 0.999f, addend = Float{} + 0.001f;
    const double begin = now();
    for (int64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sums[i] = sums[i] * factor + addend;
    }
    const double seconds = now() - begin;
    Float total{};
    for (const Float sum : sums) total += sum;
    volatile float used = total[0];
    (void)used;
    return 2.0 * WIDTH * CHAINS * double(rounds) / seconds;
}

}  // namespace

std::vector<double> measure_arithmetic() {
    std::vector<double> rates(ROUNDS);
    for (double& rate : rates) rate = arithmetic_run(4'000'000);
    return rates;
}

std::vector<double> measure_copy() {
    constexpr size_t BYTES = size_t(256) << 20;
    std::vector<char> from(BYTES, 1), to(BYTES, 2);
    std::vector<double> rates;
    for (int round = 0; round < ROUNDS; round++) {
        from[size_t(round)]++;
        const double begin = now();
        std::memcpy(to.data(), from.data(), BYTES);
        rates.push_back(2.0 * double(BYTES) / (now() - begin));
    }
    return rates;
}

}  // namespace dllm
