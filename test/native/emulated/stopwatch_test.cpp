// The stopwatch on the emulated GPU: what is timed takes turns, and what cannot run is left out.
#include "../../../native/cuda/stopwatch.h"

#include "fixture.h"

#include <string>

namespace dllm::cuda {
namespace {

using namespace emulated;

TEST(stopwatches_time_works_in_turns) {
    const FreshDevice fresh;
    Context context(0);
    Stopwatch stopwatch(context);
    const int64_t allocations = live_allocations();
    std::string order;
    const auto work = [&](char name) {
        return [&order, name] {
            order += name;
            return true;
        };
    };
    const auto times = stopwatch.medians({work('a'), work('b'), work('c')}, 60);
    CHECK(times.size() == 3 && times[0] && times[1] && times[2]);
    CHECK(order.starts_with("abca"));  // tried, then warmed up by the first
    CHECK(order.ends_with("aabcabcabcabcabc"));
    order.clear();
    (void)stopwatch.medians({work('a'), work('b')}, 60);
    check_equal(order, std::string("abababababab"), "order once it is warm");
    check_equal(live_allocations(), allocations, "allocations left by trials");
    CHECK(stopwatch.seconds() > 0.02);  // to warm up
}

TEST(stopwatches_leave_out_what_cannot_run) {
    const FreshDevice fresh;
    Context context(0);
    Stopwatch stopwatch(context);
    int runs = 0;
    const auto never = [] { return false; };
    const auto thrice = [&] { return ++runs <= 3; };  // tried and timed, then no longer
    const auto always = [] { return true; };
    (void)stopwatch.medians({always}, 60);
    const auto times = stopwatch.medians({never, thrice, always}, 60);
    CHECK(!times[0] && !times[1] && times[2]);
    check_equal(runs, 4, "runs");
    CHECK(!stopwatch.medians({never}, 60)[0]);
    // After the time is over nothing more is tried, but one has a time.
    const auto late = stopwatch.medians({never, always, always}, 0);
    CHECK(!late[0] && late[1] && !late[2]);
}

}  // namespace
}  // namespace dllm::cuda
