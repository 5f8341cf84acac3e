// Plans for other numbers of rows on the emulated GPU: derived from what was timed, and the same in a run that resumes.
#include "../../../native/cuda/matmul_rows.h"

#include "../../../native/cuda/backend.h"
#include "fixture.h"
#include "matmul_fixture.h"
#include "small_model.h"
#include "small_training.h"
#include "trainer.h"

#include <functional>
#include <map>

namespace dllm::cuda {
namespace {

using namespace emulated;

constexpr int FIRST = 1, SECOND = 2, THIRD = 3;  // algorithms of the emulated cuBLASLt without split-K

void make_fastest(int fastest) {
    for (const int other : {FIRST, SECOND, THIRD}) slow_algorithm(other, other == fastest ? 0 : 1000);
}

MatmulKey key_of_rows(int64_t rows) {
    const Tensor out{nullptr, rows, 16, 16}, a{nullptr, rows, 8, 8}, b{nullptr, 8, 16, 16};
    return key_of({out, {a, false}, {b, false}});
}

MatmulKey gradient_key_of_rows(int64_t rows) {
    const Tensor out{nullptr, 16, 16, 16}, a{nullptr, rows, 16, 16};
    return key_of({out, {a, true}, {a, false}, out});
}

TEST(matmul_rows_tell_about_each_other) {
    for (const auto& make : {key_of_rows, gradient_key_of_rows}) {
        const MatmulKey known = make(160);
        for (const int64_t rows : {10, 11, 160, 320}) CHECK(tells_about(known, make(rows)));
        for (const int64_t rows : {1, 9, 321}) CHECK(!tells_about(known, make(rows)));
        MatmulKey other = make(160);
        other.m = 24;
        CHECK(!tells_about(known, other));
    }
    CHECK(!differ_in_rows_only(key_of_rows(16), gradient_key_of_rows(16)));
    MatmulKey deeper = key_of_rows(160);
    deeper.k = 16;
    CHECK(!differ_in_rows_only(deeper, key_of_rows(160)));

    std::map<MatmulKey, int64_t> all;
    for (const int64_t rows : {40, 60, 90, 100, 1000, 2}) all[key_of_rows(rows)] = rows;
    std::vector<int64_t> found;
    const auto is_even = [](int64_t rows) { return rows != 90; };
    for (const int64_t* rows : nearest_tried(all, key_of_rows(80), is_even)) found.push_back(*rows);
    check_equal(found, std::vector<int64_t>{60, 100, 40, 1000}, "nearest first, the smaller of two");
}

// A product of so many rows, run by these plans.
void run(MatmulPlans& plans, int64_t rows) {
    const Products products(rows, 16, 16);
    plans.run(products.product());
    products.check(0);
}

TEST(matmul_plans_of_other_rows_are_derived) {
    const FreshDevice fresh;
    Context context(0);
    MatmulPlans plans(context, {});
    make_fastest(SECOND);
    run(plans, 32);
    make_fastest(THIRD);
    const int64_t launches = launch_count(), second = algorithm_runs(SECOND);
    for (const int64_t rows : {16, 2, 64}) run(plans, rows);
    check_equal(launch_count() - launches, 3, "launches, none of them a trial");
    check_equal(algorithm_runs(SECOND) - second, 3, "runs of the algorithm of 32 rows");
    check_equal(count_lines(plans.save(), "plan "), 1, "saved plans");
    check_equal(plans.generation(), int64_t(0), "generation");

    // Many more rows are tried, and what lies nearer to them is then derived from them.
    run(plans, 68);
    check_equal(count_lines(plans.save(), "plan timed"), 2, "saved plans");
    check_equal(plans.generation(), int64_t(1), "generation");
    const int64_t third = algorithm_runs(THIRD), second_later = algorithm_runs(SECOND);
    run(plans, 64);
    check_equal(algorithm_runs(THIRD) - third, 1, "runs of the algorithm of 68 rows");
    run(plans, 16);
    check_equal(algorithm_runs(SECOND) - second_later, 1, "runs of the algorithm of 32 rows");

    // The same by what was saved, even where nothing may be timed.
    MatmulPlans restored(context, {false, UseEpilogues::measured});
    check_equal(restored.restore(plans.save()), "", "reason");
    run(restored, 64);
    run(restored, 16);
    check_equal(algorithm_runs(THIRD) - third, 2, "runs of the algorithm of 68 rows");
    check_equal(algorithm_runs(SECOND) - second_later, 2, "runs of the algorithm of 32 rows");
    check_equal(restored.save(), plans.save(), "choices");
}

TEST(matmul_plans_that_were_derived_and_fail_are_chosen_anew) {
    const FreshDevice fresh;
    Context context(0);
    MatmulPlans plans(context, {});
    make_fastest(SECOND);
    run(plans, 32);
    refuse_algorithm(SECOND);
    run(plans, 16);
    check_equal(count_lines(plans.save(), "plan timed"), 2, "timed plans");
}

// Numbers of rows that are drawn at random do not fill the memory, and what was timed stays.
TEST(matmul_plans_are_not_kept_without_end) {
    const FreshDevice fresh;
    Context context(0);
    MatmulPlans plans(context, {});
    make_fastest(SECOND);
    run(plans, 3000);
    const int64_t handles = live_handles();
    const Products products(3000, 16, 16);
    for (int64_t rows = 400; rows < 3000; rows++) {
        MatmulProduct product = products.product();
        product.out.rows = product.a.matrix.rows = rows;
        plans.run(product);
    }
    CHECK(live_handles() - handles <= 5 * 2048);
    CHECK(plans.generation() > 0);
    const int64_t launches = launch_count();
    run(plans, 3000);
    check_equal(launch_count() - launches, 1, "launches");
    check_equal(count_lines(plans.save(), "plan timed"), 1, "timed plans");
}

// A recorded step has the algorithms that were derived when it was recorded.
TEST(recordings_follow_plans_that_are_derived_anew) {
    const FreshDevice fresh;
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "on");
    CudaBackend backend(0, DType::f32);
    const auto multiply = [&](int64_t rows) {
        const auto product = std::make_shared<Products>(rows, 16, 16);
        return [product, &backend] {
            const MatmulProduct p = product->product();
            backend.matmul_forward(p.out, p.a.matrix, p.b.matrix, {}, {}, WeightLayout::in_out);
        };
    };
    make_fastest(SECOND);
    multiply(32)();
    const auto recording = backend.make_recording();
    const auto ops = multiply(64);
    for (int time = 0; time < 3; time++) recording->run(ops);
    make_fastest(THIRD);
    multiply(80)();
    const int64_t third = algorithm_runs(THIRD);
    for (int time = 0; time < 3; time++) recording->run(ops);
    check_equal(algorithm_runs(THIRD) - third, 3, "runs of the algorithm of 80 rows");
    const RecordingCounts counts = backend.recording_counts();
    CHECK(counts.plain == 2 && counts.captured == 2 && counts.replayed == 2 && counts.failure.empty());
}

// ---- training

using Steps = std::vector<std::pair<int64_t, int64_t>>;  // sequences and their length

void take(Trainer& trainer, const Steps& steps) {
    for (const auto& [sequences, length] : steps)
        CHECK(trainer.step(masked_batch(trainer.model().config(), sequences, length)).updated);
}

// Everything is timed again with another outcome wherever a plan is not known.
void change_what_is_fastest(int fastest, bool epilogues) {
    make_fastest(fastest);
    slow_epilogues(epilogues ? 0 : 10000);
    slow_kernels(epilogues ? 10000 : 0);
}

// The text of no choices at all on the same device.
std::string without_plans(const std::string& saved) { return saved.substr(0, saved.find("plan ")) + "end\n"; }

TEST(emulated_training_with_timed_plans_resumes_bit_equal_with_new_rows) {
    const EnvironmentSetting tune("DLLM_CUDA_TUNE", "on");
    const Steps before = {{4, 16}, {4, 16}}, after = {{3, 16}, {4, 11}, {5, 16}, {1, 7}, {4, 16}, {3, 16}, {3, 16}};
    for (const DType dtype : {DType::f32, DType::bf16}) {
        FreshDevice::renew();
        tell_algorithms_apart();
        change_what_is_fastest(SECOND, true);
        const TemporaryFolder folder;
        const auto model =
            std::make_shared<Model>(std::make_unique<CudaBackend>(0, dtype), small_config(Naming::gpt2), 3);
        Trainer trainer(model, train_config());
        take(trainer, before);
        model->save(folder.file("model"));
        trainer.save(folder.file("optimizer"));
        const std::string saved = model->backend().plans();
        CHECK(count_lines(saved, "plan timed") > 5);

        change_what_is_fastest(FIRST, false);
        take(trainer, after);
        check_equal(model->backend().plans(), saved, "choices of the run that went on");

        const auto resume = [&](bool with_plans) {
            change_what_is_fastest(THIRD, true);
            const auto other =
                std::make_shared<Model>(std::make_unique<CudaBackend>(0, dtype), model->config(), folder.file("model"));
            Trainer resumed(other, train_config());
            check_equal(resumed.load(folder.file("optimizer")), "", "reason");
            if (!with_plans) check_equal(other->backend().restore_plans(without_plans(saved)), "", "reason");
            take(resumed, after);
            if (with_plans) check_equal(other->backend().plans(), saved, "choices of the run that was resumed");
            return all_weights(*other);
        };
        CHECK(resume(true) == all_weights(*model));
        CHECK(resume(false) != all_weights(*model));  // or else the bits would tell nothing
    }
    FreshDevice::renew();
}

}  // namespace
}  // namespace dllm::cuda
