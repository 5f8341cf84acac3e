// Recordings by key, and recordings as CUDA graphs on the emulated GPU: replayed steps against steps run op by op.
#include "recordings.h"

#include "cuda/backend.h"
#include "emulated/emulated.h"
#include "reference_backend.h"
#include "small_model.h"
#include "small_training.h"
#include "test.h"

#include <cmath>
#include <cstdlib>

namespace dllm {
namespace {

using cuda::CudaBackend;

// Where DLLM_CUDA_GRAPHS has been set for a while.
struct GraphsSetting {
    explicit GraphsSetting(const char* value) { setenv("DLLM_CUDA_GRAPHS", value, 1); }
    ~GraphsSetting() { unsetenv("DLLM_CUDA_GRAPHS"); }
    GraphsSetting(const GraphsSetting&) = delete;
    GraphsSetting& operator=(const GraphsSetting&) = delete;
};

// What a device holds must be given back.
struct Accounts {
    int64_t handles = emulated::live_handles(), allocations = emulated::live_allocations();
    void check_closed() const {
        check_equal(emulated::live_handles(), handles, "handles");
        check_equal(emulated::live_allocations(), allocations, "allocations");
    }
};

void check_counts(const RecordingCounts& counts, int64_t plain, int64_t captured, int64_t replayed) {
    check_equal(counts.plain, plain, "plain");
    check_equal(counts.captured, captured, "captured");
    check_equal(counts.replayed, replayed, "replayed");
}

TEST(recordings_keep_one_for_each_key_and_drop_the_one_unused_for_longest) {
    struct : test::ReferenceBackend {
        int64_t made = 0;
        std::unique_ptr<Recording> make_recording() override {
            made++;
            return ReferenceBackend::make_recording();
        }
    } backend;
    Recordings recordings(backend);
    int64_t runs = 0;
    const auto run = [&](int64_t key, int64_t made) {
        recordings.run({key, 5}, [&] { runs++; });
        check_equal(backend.made, made, "recordings");
    };
    for (int64_t key = 0; key < 8; key++) run(key, key + 1);
    run(0, 8);
    run(8, 9);  // in the place of 1
    run(0, 9);
    run(2, 9);
    run(1, 10);
    check_equal(runs, 13, "runs");
}

// ---- one recording

// doubled = 2 x, by a product with a weight of 2, and its norm, which needs working memory for large x
struct Doubling {
    Backend& backend;
    Tensor x, weight, doubled, norm;
    Arena arena;

    Doubling(Backend& target, int64_t rows)
        : backend(target), arena(Arena::lay_out(target, [&](Arena& a) {
              x = a.take(rows, 1), weight = a.take(1, 1), doubled = a.take(rows, 1), norm = a.take(1, 1);
          })) {
        const float two = 2;
        backend.upload(weight, &two);
    }

    void run() const {
        backend.matmul_forward(doubled, x, weight, {}, {}, WeightLayout::in_out);
        backend.global_norm(norm, doubled);
    }

    void check(Recording& recording, float value) const {
        const std::vector<float> values(size_t(x.rows), value);
        backend.upload(x, values.data());
        recording.run([this] { run(); });
        std::vector<float> result(values.size());
        backend.download(result.data(), doubled);
        check_equal(result, std::vector<float>(values.size(), 2 * value), "doubled");
        float length = 0;
        backend.download(&length, norm);
        check_close(length, 2 * value * std::sqrt(double(x.rows)), 1e-5, "norm");
    }
};

TEST(emulated_recordings_replay_on_changed_inputs) {
    const Accounts accounts;
    {
        CudaBackend backend(0, DType::f32);
        const Doubling doubling(backend, 8);
        const auto recording = backend.make_recording();
        for (int value = 1; value <= 5; value++) doubling.check(*recording, float(value));
        check_counts(backend.recording_counts(), 1, 1, 3);
        check_equal(backend.recording_counts().failure, std::string(), "failure");
    }
    accounts.check_closed();
}

TEST(emulated_recordings_follow_their_working_memory) {
    const Accounts accounts;
    {
        CudaBackend backend(0, DType::f32);
        const Doubling doubling(backend, 8);
        const auto recording = backend.make_recording();
        for (int value = 1; value <= 3; value++) doubling.check(*recording, float(value));
        // Sorting many rows needs a larger working memory, which lies elsewhere.
        Tensor table, dout, tokens;
        const Arena arena = Arena::lay_out(backend, [&](Arena& a) {
            table = a.take(1, 1), dout = a.take(20000, 1), tokens = a.take(1, 20000, DType::i32);
        });
        for (const Tensor& x : {table, dout, tokens}) backend.zero(x);
        backend.embedding_backward(table, {}, dout, tokens, {});
        doubling.check(*recording, 4);
        doubling.check(*recording, 5);
        check_counts(backend.recording_counts(), 1, 2, 2);
    }
    accounts.check_closed();
}

TEST(emulated_ops_that_cannot_be_captured_run_one_by_one) {
    const Accounts accounts;
    {
        CudaBackend backend(0, DType::f32);
        const Doubling doubling(backend, 8), large(backend, 20000);
        const auto check = [&](const char* reason, const std::function<void()>& offence) {
            const auto recording = backend.make_recording();
            const RecordingCounts before = backend.recording_counts();
            int64_t calls = 0;
            for (int value = 1; value <= 4; value++) {
                const std::vector<float> values(8, float(value));
                backend.upload(doubling.x, values.data());
                recording->run([&] {
                    calls++;
                    doubling.run();
                    if (calls > 1) offence();
                });
                std::vector<float> result(8);
                backend.download(result.data(), doubling.doubled);
                check_equal(result[7], 2 * float(value), reason);
            }
            const RecordingCounts counts = backend.recording_counts();
            check_counts(counts, before.plain + 4, before.captured, before.replayed);
            check_equal(calls, 6, "two captures were tried");
            if (counts.failure.find(reason) == std::string::npos)
                throw test::Failure{counts.failure + " lacks " + reason, std::source_location::current()};
        };
        float value = 0;
        check("a download", [&] { backend.download(&value, doubling.norm); });
        check("an upload", [&] { backend.upload(doubling.norm, &value); });
        check("an allocation", [&] { backend.release(backend.allocate(8)); });
        check("broken shapes", [&, calls = 0]() mutable {
            if (++calls == 1 || calls == 3) fail(ErrorCode::native, "broken shapes");
        });
        // release() throws nothing, for destructors call it: the capture is spoiled and says so at its end.
        check("cudaStreamEndCapture", [&] { backend.release(nullptr); });

        // Growing the working memory fails the capture; the run that follows grows it, so the next one is captured.
        const auto recording = backend.make_recording();
        int64_t calls = 0;
        for (int run = 0; run < 4; run++) {
            recording->run([&] {
                doubling.run();
                if (calls++ > 0) large.run();
            });
        }
        CHECK(backend.recording_counts().failure.find("growing the working memory") != std::string::npos);
        check_counts(backend.recording_counts(), 5 * 4 + 2, 1, 1);
    }
    accounts.check_closed();
}

TEST(cuda_graphs_can_be_switched_off) {
    {
        const GraphsSetting setting("off");
        CudaBackend backend(0, DType::f32);
        const Doubling doubling(backend, 8);
        const auto recording = backend.make_recording();
        for (int value = 1; value <= 3; value++) doubling.check(*recording, float(value));
        check_counts(backend.recording_counts(), 3, 0, 0);
    }
    const GraphsSetting setting("0");
    CudaBackend backend(0, DType::f32);
    check_throws([&] { backend.make_recording(); }, ErrorCode::config, "DLLM_CUDA_GRAPHS is \"0\"; accepted: on, off");
}

// ---- training

struct Run {
    std::vector<float> weights, average;
    std::vector<double> numbers;  // of every step and evaluation
    RecordingCounts counts;
};

Run train(DType dtype, Naming naming) {
    const TemporaryFolder folder;
    ModelConfig model_config = small_config(naming);
    model_config.layers = 1, model_config.dropout = 0.1f;
    const auto model = std::make_shared<Model>(std::make_unique<CudaBackend>(0, dtype), model_config, 5);
    TrainConfig config = train_config();
    config.objective.random_length_fraction = 0.3;
    config.ema_decay = 0.9, config.gradient_accumulation = 2, config.eval_batches = 1;
    const Dataset dataset = periodic_dataset();
    Trainer trainer(model, config);
    Run run;
    const auto note = [&](const StepStats& stats) {
        run.numbers.insert(run.numbers.end(), {stats.loss, stats.gradient_norm, double(stats.updated)});
    };
    for (int step = 0; step < 10; step++) {
        note(trainer.step(dataset));
        // Another shape in between, larger than those of the dataset.
        if (step == 4) note(trainer.step(masked_batch(model_config, 5, 27)));
        if (step % 3 == 2) run.numbers.push_back(trainer.evaluate(dataset, false).nll);
    }
    // A step that is not finite is seen when it is replayed, and changes nothing.
    const std::vector<float> good = all_weights(*model);
    std::vector<float> bad = good;
    std::fill_n(bad.begin(), bad.size() / 2, NAN);
    model->backend().upload(model->weights(), bad.data());
    model->round_weights();
    CHECK(!trainer.step(dataset).updated);
    CHECK(std::equal(bad.begin() + int64_t(bad.size()) / 2, bad.end(), all_weights(*model).begin() + int64_t(bad.size()) / 2));
    model->backend().upload(model->weights(), good.data());
    model->round_weights();
    note(trainer.step(dataset));

    run.weights = all_weights(*model);
    trainer.save_ema(folder.file("ema"));
    run.average = all_weights(Model(make_cpu_backend(), model_config, folder.file("ema")));
    run.counts = trainer.recording_counts();
    return run;
}

TEST(emulated_replayed_steps_have_the_bits_of_steps_run_op_by_op) {
    const Accounts accounts;
    for (const auto& [dtype, naming] : {std::pair(DType::f32, Naming::gpt2), std::pair(DType::bf16, Naming::llama)}) {
        const Run recorded = train(dtype, naming);
        const GraphsSetting setting("off");
        const Run plain = train(dtype, naming);
        check_equal(recorded.numbers, plain.numbers, "losses and norms");
        check_equal(recorded.weights, plain.weights, "weights");
        check_equal(recorded.average, plain.average, "average");
        check_equal(recorded.counts.failure, std::string(), "failure");
        // 13 steps of two parts and an update, and 3 evaluations; a first run of each shape is op by op.
        check_counts(plain.counts, 42, 0, 0);
        CHECK(recorded.counts.plain + recorded.counts.captured + recorded.counts.replayed == 42);
        CHECK(recorded.counts.replayed >= 20 && recorded.counts.captured >= 3);
    }
    accounts.check_closed();
}

}  // namespace
}  // namespace dllm
