// Loading batches: what is uploaded and allocated, and how the head's rows are filled up.
#include "workspace.h"

#include "reference_backend.h"
#include "small_model.h"
#include "small_training.h"
#include "test.h"

#include <set>

using namespace dllm;

namespace {

struct CountingBackend : test::ReferenceBackend {
    int64_t bucket = 1, logits = 1 << 20, allocations = 0, uploads = 0;

    int64_t row_bucket() const override { return bucket; }
    int64_t logits_per_pass() const override { return logits; }
    int64_t row_alignment() const override { return 16; }
    void* allocate(size_t bytes) override {
        allocations++;
        return ReferenceBackend::allocate(bytes);
    }
    void upload(Tensor out, const void* host) override {
        uploads++;
        ReferenceBackend::upload(out, host);
    }
};

std::vector<int32_t> integers(Tensor x) { return {x.i32(), x.i32() + x.count()}; }
std::vector<float> floats(Tensor x) { return {x.f32(), x.f32() + x.count()}; }

}  // namespace

TEST(a_workspace_uploads_a_mask_when_it_changes) {
    CountingBackend backend;
    const ModelConfig config = small_config(Naming::llama);
    Workspace workspace(backend, config, 3, 16, Pass::training);
    Batch batch = masked_batch(config, 3, 16);
    const auto check = [&](int64_t allocations, int64_t uploads, const char* what) {
        backend.allocations = backend.uploads = 0;
        workspace.load(batch);
        check_equal(backend.allocations, allocations, what);
        check_equal(backend.uploads, uploads, what);
    };
    check(1, 2, "the first batch");
    check(0, 1, "the same mask");
    batch = masked_batch(config, 2, 16);
    check(0, 1, "a smaller batch");
    batch = masked_batch(config, 2, 9);
    check(0, 2, "shorter sequences");
    batch.attention.kind = AttentionKind::causal;
    check(1, 3, "a mask with bits");
    check(0, 1, "the same bits");
    batch.attention.kind = AttentionKind::explicit_mask;
    batch.attention.mask.assign(2 * 9 * 9, 1);
    batch.attention.mask[1] = 0, batch.attention.mask[9 * 9 + 5] = 0;
    check(1, 3, "a mask for each sequence");
    check_equal(workspace.attention.masks, 2, "masks");
    check(0, 1, "the same masks");
    batch.attention.mask[1] = 1;
    check(0, 3, "other masks");
    const std::vector<int64_t> key = workspace.key();
    batch = masked_batch(config, 1, 9);
    check(0, 2, "back to one mask");
    CHECK(workspace.key() != key);
}

TEST(rows_with_a_weight_are_filled_up_by_rows_without) {
    CountingBackend backend;
    const ModelConfig config = small_config(Naming::llama);
    for (const int64_t bucket : {1, 8, 40, 64}) {
        backend.bucket = bucket;
        Workspace workspace(backend, config, 3, 16, Pass::training);
        for (const int64_t sequences : {1, 2, 3}) {
            const Batch batch = masked_batch(config, sequences, 16);
            workspace.load(batch);
            const HeadState head = workspace.head_rows(0);
            const std::vector<int32_t> rows = integers(head.rows), targets = integers(head.targets);
            const std::vector<float> weights = floats(head.weights);
            const int64_t N = sequences * 16;
            const int64_t weighted = N - std::count(batch.loss_weights.begin(), batch.loss_weights.end(), 0.0f);
            check_equal(workspace.head_count, std::min((weighted + bucket - 1) / bucket * bucket, N), "rows");
            check_equal(int64_t(rows.size()), workspace.head_count, "rows of one chunk");
            check_equal(std::set<int32_t>(rows.begin(), rows.end()).size(), rows.size(), "each row once");
            for (size_t i = 0; i < rows.size(); i++) {
                check_equal(weights[i], batch.loss_weights[size_t(rows[i])], "weight");
                CHECK((weights[i] != 0) == (int64_t(i) < weighted));
                if (weights[i] != 0) check_equal(targets[i], batch.targets[size_t(rows[i])], "target");
            }
        }
    }
}

TEST(filled_up_rows_padded_logits_and_chunks_change_no_result) {
    for (const Naming naming : ALL_NAMINGS) {
        ModelConfig config = small_config(naming);
        const auto run = [&](int64_t bucket, int64_t most_logits) {
            auto backend = std::make_unique<CountingBackend>();
            backend->bucket = bucket, backend->logits = most_logits;
            const Model model(std::move(backend), config, 5);
            Batch batch = masked_batch(config, 2, 16);
            Model::LossAndGradients result = model.loss_and_gradients(batch);
            const std::vector<float> logits = model.forward(batch);
            result.gradients.insert(result.gradients.end(), logits.begin(), logits.end());
            result.gradients.push_back(result.loss);
            return result.gradients;
        };
        const Model plain(std::make_unique<test::ReferenceBackend>(), config, 5);
        const std::vector<float> padded = run(1, 1 << 20);
        check_close(run(32, 1 << 20), padded, 1e-6, "filled up");
        check_close(run(1, 5 * config.vocab_size), padded, 1e-6, "in chunks");
        check_close(run(8, 13 * config.vocab_size), padded, 1e-6, "filled up, in chunks of a bucket");
        check_equal(std::vector<float>(padded.begin(), padded.begin() + plain.parameters().size),
                    plain.loss_and_gradients(masked_batch(config, 2, 16)).gradients, "padded");
    }
}
