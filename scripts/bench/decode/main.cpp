// Decodes blocks with cached keys and values, and prints, as JSON, how long a pass takes:
//   dllm_decode cpu|cuda:N float32|bfloat16 LAYERS HEADS WIDTH MLP_WIDTH VOCABULARY CACHED BLOCK COMMITS ROUNDS
// `queued` is a pass among several that nobody waits for in between, `waited` one whose tokens are downloaded.
#include "bench_device.h"
#include "block_decoder.h"
#include "clock.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

using namespace dllm;

namespace {

struct Times {
    std::vector<double> queued, waited;
};

double seconds_of_passes(BlockDecoder& decoder, int passes) {
    const double begin = now();
    for (int pass = 0; pass < passes; pass++) decoder.run();
    decoder.tokens();
    return (now() - begin) / passes;
}

Times time_passes(BlockDecoder& decoder, int64_t rounds) {
    constexpr int WARMUPS = 3, QUEUED = 10;  // a recording's first run is no recording yet
    for (int pass = 0; pass < WARMUPS; pass++) seconds_of_passes(decoder, 1);
    Times times;
    for (int64_t round = 0; round < rounds; round++) {
        times.queued.push_back(seconds_of_passes(decoder, QUEUED));
        times.waited.push_back(seconds_of_passes(decoder, 1));
    }
    return times;
}

void print_list(const char* name, const std::vector<double>& values) {
    std::printf(", \"%s\": [", name);
    for (size_t i = 0; i < values.size(); i++) std::printf("%s%.6g", i == 0 ? "" : ", ", values[i]);
    std::printf("]");
}

}  // namespace

int main(int count, char** arguments) {
    try {
        if (count != 12)
            throw std::runtime_error(
                "usage: dllm_decode cpu|cuda:N float32|bfloat16 LAYERS HEADS WIDTH MLP_WIDTH VOCABULARY CACHED BLOCK "
                "COMMITS ROUNDS");
        const auto number = [&](int index) { return std::stoll(arguments[index]); };
        const DecoderShape shape{number(3), number(4), number(5), number(6),
                                 number(7), number(8), number(9), number(10)};
        const BenchDevice device(arguments[1], arguments[2]);
        const auto backend = device.make();
        std::printf("{\"path\": \"%s\", \"threads\": %d", device.path().c_str(), device.threads());
        {
            BlockDecoder decoder(*backend, shape);
            const Times times = time_passes(decoder, number(11));
            std::printf(", \"operations\": %.6g, \"bytes\": %.6g, ", decoder.operations(), decoder.bytes());
            print_recordings("recordings", backend->recording_counts());
            print_list("queued", times.queued);
            print_list("waited", times.waited);
        }
        const Limits limits = device.measure(std::min<int64_t>(2 * shape.width, 8192));
        print_list("arithmetic", limits.arithmetic);
        print_list("copy", limits.copy);
        std::printf("}\n");
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
