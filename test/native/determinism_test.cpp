// Bits of the CPU backend: the same at any thread count and on every run, of single ops and of a model at work.
#include "cpu/backend.h"
#include "op_cases.h"
#include "repeats.h"
#include "sampler.h"
#include "small_model.h"
#include "small_training.h"
#include "test.h"
#include "thread_limit.h"
#include "thread_pool.h"
#include "trainer.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace dllm {
namespace {

using namespace test;

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

// ---- a model at work, while other threads want the cores ----------------------------------------

// Threads that take every core for a moment, again and again, so that the pool's threads are held up anywhere.
class BusyCores {
public:
    BusyCores() {
        for (unsigned core = 0; core < std::max(1u, std::thread::hardware_concurrency()); core++)
            threads_.emplace_back([](const std::stop_token& stop) {
                while (!stop.stop_requested()) {
                }
            });
    }

private:
    std::vector<std::jthread> threads_;
};

// Large enough that every op splits into several units; only the optimizer's on biases is too small.
ModelConfig multi_unit_config(Naming naming) {
    ModelConfig config = small_config(naming);
    config.width = 72, config.mlp_width = 136, config.vocab_size = 67, config.context_length = 72;
    config.mask_token_id = 66;
    if (naming == Naming::gpt2) config.dropout = 0.1f;
    return config;
}

TrainConfig multi_unit_training(Naming naming, int64_t context_length, double ema_decay) {
    TrainConfig config = train_config();
    config.batch_size = 5, config.context_length = context_length, config.ema_decay = ema_decay;
    config.learning_rate = {LearningRateSchedule::constant, 1e-3, 1e-3, 1, 0, 1000};
    config.activation_recompute = naming == Naming::llama;
    return config;
}

// What one round of training, evaluating and sampling computed, as bits.
struct Round {
    double loss, gradient_norm, nll, standard_error;
    uint64_t weights;
    std::vector<int32_t> tokens;
    std::vector<float> confidences;

    bool operator==(const Round&) const = default;
};

template <typename T>
uint64_t hash_of(const std::vector<T>& values) {
    const std::string_view bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    return std::hash<std::string_view>()(bytes);
}

class Rounds {
public:
    explicit Rounds(Naming naming)
        : model_(std::make_shared<Model>(make_cpu_backend(), multi_unit_config(naming), 1)),
          trainer_(model_, multi_unit_training(naming, 72, 0.9)),
          evaluator_(model_, multi_unit_training(naming, 9, 0)) {
        std::vector<int32_t> tokens(1000);
        for (size_t i = 0; i < tokens.size(); i++) tokens[i] = int32_t(i * i % 61);
        dataset_.emplace(std::move(tokens));
    }

    Round next() {
        const StepStats stats = trainer_.step(*dataset_);
        const Evaluation evaluation = evaluator_.evaluate(*dataset_, std::atomic<bool>(false));
        Round round{stats.loss,
                    stats.gradient_norm,
                    evaluation.nll,
                    evaluation.standard_error,
                    hash_of(all_weights(*model_)),
                    {},
                    {}};
        sample(round);
        return round;
    }

    // Moments, moving average and the number of steps, as they are saved.
    std::string state() const {
        const TemporaryFolder folder;
        trainer_.save(folder.file("state"));
        trainer_.save_ema(folder.file("average"));
        return content(folder.file("state")) + content(folder.file("average"));
    }

private:
    static std::string content(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    // Prompts of different lengths, drawn tokens, the surest first.
    void sample(Round& round) {
        const ModelConfig& config = model_->config();
        std::vector<SampleRequest> requests;
        for (uint64_t index = 0; index < 4; index++) {
            const int64_t prompt = 3 * int64_t(index) + 1;
            std::vector<int32_t> tokens(size_t(prompt + 60), config.mask_token_id);
            std::fill_n(tokens.begin(), prompt, int32_t(index));
            requests.push_back({std::move(tokens), prompt, next_seed_++, index});
        }
        SampleConfig sampling{};
        sampling.steps = 2, sampling.block_length = 60, sampling.temperature = 1.0;
        Sampler sampler(model_, sampling, std::move(requests));
        while (!sampler.done()) {
            for (const Frame& frame : sampler.step()) {
                round.tokens.insert(round.tokens.end(), frame.canvas.begin(), frame.canvas.end());
                round.confidences.insert(round.confidences.end(), frame.confidences.begin(), frame.confidences.end());
            }
        }
    }

    std::shared_ptr<Model> model_;
    Trainer trainer_, evaluator_;
    std::optional<Dataset> dataset_;
    uint64_t next_seed_ = 0;
};

TEST(training_evaluating_and_sampling_give_the_same_bits_at_any_thread_count_on_busy_cores) {
    const int rounds = repeats(30);
    const ThreadLimit restored;
    for (const Naming naming : {Naming::gpt2, Naming::llama}) {
        set_thread_limit(1);
        Rounds alone(naming);
        std::vector<Round> expected;
        for (int round = 0; round < rounds; round++) expected.push_back(alone.next());

        const BusyCores busy;
        for (const int threads : {2, 4}) {
            set_thread_limit(threads);
            Rounds split(naming);
            for (int round = 0; round < rounds; round++) {
                if (split.next() == expected[size_t(round)]) continue;
                throw Failure{join("other bits with ", threads, " threads, round ", round),
                              std::source_location::current()};
            }
            CHECK(split.state() == alone.state());
        }
    }
}

}  // namespace
}  // namespace dllm
