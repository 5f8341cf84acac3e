// Recordings by key, and recordings as CUDA graphs on the emulated GPU: replayed steps against steps run op by op.
#include "recordings.h"

#include "arena.h"
#include "cuda/backend.h"
#include "device_checks.h"
#include "emulated/emulated.h"
#include "environment_setting.h"
#include "reference_backend.h"
#include "test.h"

#include <cmath>

namespace dllm {
namespace {

using cuda::CudaBackend;

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
    for (int64_t key = 0; key < 32; key++) run(key, key + 1);
    run(0, 32);
    run(32, 33);  // in the place of 1
    run(0, 33);
    run(2, 33);
    run(1, 34);
    check_equal(runs, 37, "runs");
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

TEST(emulated_graphs_that_cannot_be_launched_run_one_by_one) {
    const Accounts accounts;
    {
        CudaBackend backend(0, DType::f32);
        const Doubling doubling(backend, 8);
        const auto recording = backend.make_recording();
        for (int value = 1; value <= 3; value++) doubling.check(*recording, float(value));
        check_counts(backend.recording_counts(), 1, 1, 1);
        emulated::fail_graph_launch(1);
        doubling.check(*recording, 4);
        check_counts(backend.recording_counts(), 1, 2, 1);  // captured anew
        CHECK(backend.recording_counts().failure.starts_with("cudaGraphLaunch failed: out of memory"));
        doubling.check(*recording, 5);
        emulated::fail_graph_launch(1);
        for (int value = 6; value <= 8; value++) doubling.check(*recording, float(value));
        check_counts(backend.recording_counts(), 1, 3, 4);  // the first failure is forgotten after a replay
        emulated::fail_graph_launch(1);
        doubling.check(*recording, 9);
        emulated::fail_graph_launch(1);
        for (int value = 10; value <= 12; value++) doubling.check(*recording, float(value));
        check_counts(backend.recording_counts(), 4, 4, 4);  // twice in succession is enough
    }
    accounts.check_closed();
}

TEST(cuda_graphs_can_be_switched_off) {
    {
        const EnvironmentSetting setting("DLLM_CUDA_GRAPHS", "off");
        CudaBackend backend(0, DType::f32);
        const Doubling doubling(backend, 8);
        const auto recording = backend.make_recording();
        for (int value = 1; value <= 3; value++) doubling.check(*recording, float(value));
        check_counts(backend.recording_counts(), 3, 0, 0);
    }
    const EnvironmentSetting setting("DLLM_CUDA_GRAPHS", "0");
    CudaBackend backend(0, DType::f32);
    check_throws([&] { backend.make_recording(); }, ErrorCode::config,
                 "DLLM_CUDA_GRAPHS must be one of off, on, got \"0\"");
}

// ---- training

TEST(emulated_replayed_steps_have_the_bits_of_steps_run_op_by_op) {
    const EnvironmentSetting untimed("DLLM_CUDA_TUNE", "off");  // both runs must choose the same products
    const Accounts accounts;
    const auto make = [](DType dtype) { return std::make_unique<CudaBackend>(0, dtype); };
    check_replays(make, DType::f32, Naming::gpt2);
    check_replays(make, DType::bf16, Naming::llama);
    accounts.check_closed();
}

}  // namespace
}  // namespace dllm
