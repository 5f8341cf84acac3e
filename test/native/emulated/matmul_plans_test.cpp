// The plans of matrix products on the emulated GPU: what their key tells apart, which algorithm is kept, and what is
// done when nothing can be timed.
#include "../../../native/cuda/matmul_plans.h"

#include "fixture.h"
#include "matmul_fixture.h"

#include <string>

namespace dllm::cuda {
namespace {

using namespace emulated;

// Of the emulated cuBLASLt, in the order in which it offers them: split-K, which is never used, then three without. The
// last takes any alignment.
constexpr int SPLIT = 0, FIRST = 1, SECOND = 2, THIRD = 3;

TEST(matmul_plans_are_kept_by_key) {
    const FreshDevice fresh;
    Context context(0);
    MatmulPlans plans(context, {});
    int expected = 0;
    const auto runs = [&](Products& products, const char* what, int added, const auto& change) {
        MatmulProduct product = products.product();
        change(product);
        plans.run(product);
        expected += added;
        check_equal(count_lines(plans.save(), "plan "), expected, what);
    };
    const auto as_it_is = [](MatmulProduct&) {};
    Products square(16, 16, 16), wide(16, 16, 32), halves(16, 16, 16, DType::bf16, DType::f32);
    runs(square, "the first", 1, as_it_is);
    runs(square, "the same", 0, as_it_is);
    runs(wide, "another shape", 1, as_it_is);
    runs(halves, "another type", 1, as_it_is);
    runs(square, "a transposed", 1, [](MatmulProduct& p) { p.a.transposed = true; });
    runs(square, "b transposed", 1, [](MatmulProduct& p) { p.b.transposed = true; });
    runs(square, "added to itself", 1, [](MatmulProduct& p) { p.addend = p.out; });
    runs(square, "with a bias", 1, [&](MatmulProduct& p) { p.bias = square.bias(); });
    runs(square, "with sums", 1, [&](MatmulProduct& p) { p.epilogue = Epilogue::sums_of_b, p.sums = square.bias(); });
    runs(square, "badly aligned", 1, [](MatmulProduct& p) { p.out.data = p.out.f32() + 1; });
    runs(square, "better aligned than that", 1, [](MatmulProduct& p) { p.out.data = p.out.f32() + 4; });
    runs(square, "as well aligned as can be", 0, [](MatmulProduct& p) { p.out.data = p.out.f32() + 8; });
    runs(square, "apart", 1, [](MatmulProduct& p) { p.out.stride = 24; });
    runs(square, "less deep", 1,
         [](MatmulProduct& p) { p.a.matrix = p.a.matrix.slice_cols(0, 8), p.b.matrix = p.b.matrix.slice_rows(0, 8); });
}

TEST(matmul_plans_keep_the_fastest_algorithm) {
    const FreshDevice fresh;
    Context context(0);
    for (const bool accumulates : {false, true}) {
        for (const int fastest : {FIRST, SECOND, THIRD}) {
            reset();
            for (const int other : {FIRST, SECOND, THIRD}) slow_algorithm(other, other == fastest ? 1000 : 2000);
            MatmulPlans plans(context, {});
            Products products(16, 24, 32);
            MatmulProduct product = products.product();
            if (accumulates) product.addend = product.out;
            Products others(16, 24, 8);
            plans.run(others.product());  // the stopwatch stays
            const int64_t allocations = live_allocations(), handles = live_handles();
            plans.run(product);
            products.check(accumulates ? 1 : 0);
            check_equal(live_allocations(), allocations, "allocations left by trials");
            check_equal(live_handles() - handles, 5, "handles of one plan");
            check_equal(count_lines(plans.save(), "plan timed"), 2, "timed plans");
            const int64_t before = algorithm_runs(fastest), launches = launch_count();
            plans.run(product);
            plans.run(product);
            check_equal(algorithm_runs(fastest) - before, 2, "runs of the fastest");
            check_equal(launch_count() - launches, 2, "launches");
            check_equal(algorithm_runs(SPLIT), 0, "runs of split-K");
        }
    }
}

// The library looks at the address of the bias where it is asked for algorithms.
TEST(matmul_plans_depend_on_the_alignment_of_the_bias) {
    const FreshDevice fresh;
    Context context(0);
    MatmulPlans plans(context, {false, UseEpilogues::off});
    Products products(16, 16, 16);
    MatmulProduct product = products.product();
    product.bias = products.bias();
    plans.run(product);
    check_equal(algorithm_runs(FIRST), 1, "runs of the first");
    product.bias.data = product.bias.f32() + 1;
    plans.run(product);
    check_equal(algorithm_runs(FIRST), 1, "runs of the first");
    check_equal(algorithm_runs(THIRD), 1, "runs of the one for any alignment");
}

TEST(matmul_plans_take_the_first_algorithm_without_tuning) {
    const FreshDevice fresh;
    Context context(0);
    slow_algorithm(FIRST, 1000);
    MatmulPlans plans(context, {false, UseEpilogues::measured});
    Products products(16, 16, 16);
    const int64_t launches = launch_count();
    plans.run(products.product());
    products.check(0);
    check_equal(launch_count() - launches, 1, "launches");
    check_equal(algorithm_runs(FIRST), 1, "runs of the first");
    check_equal(count_lines(plans.save(), "plan first"), 1, "plans chosen as the first");
}

TEST(matmul_plans_skip_an_algorithm_that_fails) {
    const FreshDevice fresh;
    Context context(0);
    Products products(16, 16, 16);
    const MatmulProduct product = products.product();
    refuse_algorithm(FIRST);
    slow_algorithm(SECOND, 1000);
    MatmulPlans plans(context, {});
    plans.run(product);
    products.check(0);
    check_equal(algorithm_runs(FIRST), 0, "runs of the one that fails");
    const int64_t before = algorithm_runs(THIRD);
    plans.run(product);
    check_equal(algorithm_runs(THIRD) - before, 1, "runs of the one that is left");
    refuse_algorithm(SECOND);
    refuse_algorithm(THIRD);
    MatmulPlans none(context, {});
    check_throws([&] { none.run(product); }, ErrorCode::device, "CUBLAS_STATUS_NOT_SUPPORTED");
    check_equal(count_lines(none.save(), "plan"), 0, "plans");
}

TEST(matmul_plans_are_not_tuned_while_a_graph_is_captured) {
    const FreshDevice fresh;
    Context context(0);
    Products products(16, 16, 16), others(16, 16, 32);
    MatmulPlans plans(context, {});
    plans.run(others.product());
    slow_algorithm(FIRST, 1000);
    cudaGraphExec_t executable = nullptr;
    context.begin_capture();
    plans.run(products.product());
    plans.run(others.product());
    bool rehearsed = false;
    MatmulProduct sums = products.product();
    sums.epilogue = Epilogue::sums_of_b, sums.sums = products.bias();
    CHECK(!plans.fuses(sums, [&](bool) { rehearsed = true; }));
    CHECK(!rehearsed);
    const cudaGraph_t graph = context.end_capture();
    succeed(cudaGraphInstantiate(&executable, graph));
    check_equal(algorithm_runs(FIRST) > 0, true, "runs before");
    const int64_t before = launch_count(), first = algorithm_runs(FIRST);
    succeed(cudaGraphLaunch(executable, context.stream()));
    products.check(0);
    check_equal(launch_count() - before, 2, "launches");
    CHECK(algorithm_runs(FIRST) > first);
    // What a graph has is not chosen again outside it, and the text tells how it was chosen.
    plans.run(products.product());
    check_equal(launch_count() - before, 3, "launches");
    check_equal(count_lines(plans.save(), "plan captured"), 1, "plans chosen while capturing");
    check_equal(count_lines(plans.save(), "plan timed"), 1, "plans chosen before");
    succeed(cudaGraphExecDestroy(executable));
    succeed(cudaGraphDestroy(graph));
}

TEST(matmul_plans_without_memory_for_trials_are_the_first) {
    const FreshDevice fresh;
    Context context(0);
    Products products(16, 16, 16);
    MatmulProduct product = products.product();
    product.addend = product.out;
    for (const int64_t failing : {1, 2}) {  // the place to write to, the cache's worth
        MatmulPlans plans(context, {});
        fail_allocation(failing);
        products.poison();
        plans.run(product);
        products.check(1);
        check_equal(count_lines(plans.save(), "plan first"), 1, "plans chosen as the first");
    }
}

}  // namespace
}  // namespace dllm::cuda
