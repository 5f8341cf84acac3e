// Bits of the CPU backend: the same at any thread count and on every run, and for a row alone or in a batch.
#include "cpu/backend.h"
#include "cpu/thread_pool.h"
#include "op_cases.h"
#include "test.h"

#include <algorithm>

namespace dllm {
namespace {

using namespace test;

class ThreadLimit {
public:
    ThreadLimit() : saved_(thread_limit()) {}
    ~ThreadLimit() { set_thread_limit(saved_); }
    ThreadLimit(const ThreadLimit&) = delete;
    ThreadLimit& operator=(const ThreadLimit&) = delete;

private:
    int saved_;
};

std::vector<uint32_t> bits_of(Backend& backend, const OpCase& op_case, int threads) {
    set_thread_limit(threads);
    OpRun run(backend, Placement::tight, false);
    op_case.run(run);
    return run.output_bits();
}

void check_threads(Backend& backend, const OpCase& op_case, int repeats) {
    const std::vector<uint32_t> expected = bits_of(backend, op_case, 1);
    for (int repeat = 0; repeat < repeats; repeat++) {
        for (const int threads : {2, 4}) {
            if (bits_of(backend, op_case, threads) == expected) continue;
            throw Failure{
                join(backend.name(), ", ", op_case.name, ": other bits with ", threads, " threads, repeat ", repeat),
                std::source_location::current()};
        }
    }
}

TEST(ops_give_the_same_bits_at_any_thread_count) {
    const ThreadLimit restored;
    const auto backend = make_cpu_backend();
    for (const OpCase& op_case : op_cases()) check_threads(*backend, op_case, 2);
}

// Races are rare events: the largest case of each op that splits its work, many times over.
TEST(ops_give_the_same_bits_on_every_run) {
    constexpr int REPEATS = 25;
    const ThreadLimit restored;
    const auto backend = make_cpu_backend();
    const std::vector<std::string> names = {"embedding_backward 600 x 130 with positions",
                                            "layer_norm 600 x 130 bias mean 0",
                                            "rms_norm 600 x 130",
                                            "matmul_forward 300 x 515 x 40 out_in bias",
                                            "matmul_backward_weight 300 x 515 x 40 in_out bias",
                                            "matmul_backward_input 300 x 515 x 40 in_out",
                                            "activation 300 x 257 gelu normal",
                                            "query_key 300 x 4 x 4 x 16 norm rotate",
                                            "attention full 3 x 130 x 130 x 4 x 4 x 32",
                                            "cross_entropy 300 x 66",
                                            "global_norm 257 x 1001",
                                            "predict_tokens 3000 x 66 banned 65 temperature 1.000000"};
    for (const std::string& name : names) {
        const auto found = std::find_if(op_cases().begin(), op_cases().end(),
                                        [&](const OpCase& op_case) { return op_case.name == name; });
        if (found == op_cases().end()) throw Failure{"no case has the name " + name, std::source_location::current()};
        check_threads(*backend, *found, REPEATS);
    }
}

}  // namespace
}  // namespace dllm
