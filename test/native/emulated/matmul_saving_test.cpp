// How the plans of matrix products on the emulated GPU are saved and restored.
#include "../../../native/cuda/matmul_plans.h"

#include "fixture.h"
#include "matmul_fixture.h"

#include <string>

namespace dllm::cuda {
namespace {

using namespace emulated;

constexpr int FIRST = 1, SECOND = 2, THIRD = 3;  // algorithms of the emulated cuBLASLt without split-K

TEST(matmul_plans_are_restored_and_not_timed_again) {
    const FreshDevice fresh;
    Context context(0);
    Products products(16, 16, 16), others(16, 40, 16, DType::bf16, DType::bf16);
    slow_algorithm(FIRST, 1000);
    slow_algorithm(THIRD, 1000);
    std::string saved;
    {
        MatmulPlans plans(context, {});
        plans.run(products.product());
        plans.run(others.product());
        saved = plans.save();
    }
    slow_algorithm(FIRST, 0);
    slow_algorithm(SECOND, 2000);
    MatmulPlans plans(context, {});
    check_equal(plans.restore(saved), "", "reason");
    check_equal(plans.save(), saved, "choices");
    const int64_t launches = launch_count(), second = algorithm_runs(SECOND);
    products.poison();
    plans.run(products.product());
    plans.run(others.product());
    products.check(0);
    check_equal(launch_count() - launches, 2, "launches");
    check_equal(algorithm_runs(SECOND) - second, 2, "runs of the saved algorithm");

    // What was chosen before is replaced.
    MatmulPlans changed(context, {false, UseEpilogues::off});
    changed.run(products.product());
    CHECK(changed.save() != saved);
    check_equal(changed.restore(saved), "", "reason");
    check_equal(changed.save(), saved, "choices");
}

std::string replaced(std::string text, const std::string& part, const std::string& by) {
    const size_t at = text.find(part);
    if (at == std::string::npos) throw test::Failure{"\"" + part + "\" is not in\n" + text, {}};
    return text.replace(at, part.size(), by);
}

TEST(matmul_plans_refuse_what_does_not_fit) {
    const FreshDevice fresh;
    slow_algorithm(SECOND, 1000);
    slow_algorithm(THIRD, 1000);
    Context context(0);
    Products products(16, 16, 16);
    MatmulPlans plans(context, {});
    plans.run(products.product());
    const std::string saved = plans.save();
    const auto refuses = [&](const std::string& text, const std::string& reason) {
        MatmulPlans others(context, {});
        const std::string empty = others.save(), found = others.restore(text);
        if (found.find(reason) == std::string::npos)
            throw test::Failure{"refused with \"" + found + "\", which lacks \"" + reason + "\": " + text, {}};
        check_equal(others.save(), empty, "choices after a refusal");
    };
    refuses("", "there are none");
    refuses(replaced(saved, "emulated 8.0", "emulated 9.0"),
            "they are of emulated 9.0, 8 multiprocessors, and this is");
    refuses(replaced(saved, "130101", "120900"), "they are of cuBLASLt 120900, and this is 130101");
    refuses(replaced(saved, "plan timed", "plan guessed"), "line 3 is damaged: expected one of timed, first, captured");
    refuses(replaced(saved, " 16 16 16 ", " 16 0 16 "), "line 3 is damaged: expected a number from 1 to");
    refuses(replaced(saved, " 16 16 16 ", " 16 x 16 "), "line 3 is damaged: expected a number from 1 to");
    refuses(replaced(saved, " 16 16 16 ", " 16 99999999999999999999 16 "), "line 3 is damaged: expected a number");
    refuses(replaced(saved, " 16 16 16 ", " 16 16 16"), "line 3 is damaged: ");
    refuses(replaced(saved, " 16 16 16 ", " 32 16 16 "), "CUBLAS_STATUS_INVALID_VALUE");  // rows that overlap
    refuses(replaced(saved, "end\n", "plan"), "line 4 is damaged: it does not end");
    refuses(replaced(saved, "end\n", "end\nplan\n"), "line 4 is damaged: nothing may follow it");
    refuses(replaced(saved, "end\n", "what\n"), "line 4 is damaged: expected plan, fusion or end");
    refuses(replaced(saved, "\nend\n", " 1\nend\n"), "line 3 is damaged: there is more in it than there should be");
    refuses(replaced(saved, " 21 ", " 22 "), "cuBLASLt does not offer the algorithm of a product of 16 x 16 x 16");
    // It exists, but is not for such pointers.
    refuses(replaced(saved, " 32 32 32 32 ", " 32 32 32 4 "), "cuBLASLt does not offer the algorithm");
    for (size_t length = 0; length < saved.size(); length++) {
        MatmulPlans others(context, {});
        CHECK(!others.restore(saved.substr(0, length)).empty());
    }
}

TEST(matmul_plans_survive_any_change_of_a_byte) {
    const FreshDevice fresh;
    Context context(0);
    Products products(16, 16, 16);
    MatmulPlans plans(context, {});
    plans.run(products.product());
    const std::string saved = plans.save();
    for (size_t at = 0; at < saved.size(); at++) {
        for (const char byte : {'0', '9', ' ', '\n', '-', '\0'}) {
            std::string text = saved;
            text[at] = byte;
            MatmulPlans others(context, {false, UseEpilogues::measured});
            (void)others.restore(text);
            products.poison();
            others.run(products.product());
            products.check(0);
        }
    }
}

}  // namespace
}  // namespace dllm::cuda
