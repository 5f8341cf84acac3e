// The loop over rows that most kernels run in, on grids that are too small for the rows: no op case has as many rows as
// it takes to exceed a real grid.
#include "../../../native/cuda/dispatch.h"
#include "fixture.h"

#include <hardware.h>

#include <limits>

namespace dllm::cuda {
namespace {

using namespace emulated;

template <int WIDTH>
void count_visits(int* visits, int64_t rows, int64_t columns) {
    for_each_group<WIDTH>(rows, columns, [&](int64_t row, int64_t column) {
        for (int i = 0; i < WIDTH; i++) visits[row * columns + column + i]++;
    });
}

template <int WIDTH>
void check_visits(int64_t rows, int64_t columns, unsigned most_blocks_down) {
    const FreshDevice fresh;
    DeviceArray<int> visits(std::vector<int>(size_t(rows * columns)));
    Cover threads = cover(rows, columns, WIDTH);
    threads.grid.y = std::min(threads.grid.y, most_blocks_down);
    succeed(launch(count_visits<WIDTH>, threads.grid, threads.block, 0, nullptr, visits.data(), rows, columns));
    check_equal(visits.download(), std::vector<int>(size_t(rows * columns), 1), "visits");
}

TEST(emulated_rows_beyond_the_grid_are_visited_once) {
    for (const unsigned blocks : {1u, 2u, 3u, 65535u}) {
        for (const int64_t rows : {1, 8, 9, 100, 257, 1000}) {
            for (const int64_t columns : {1, 3, 32, 33, 100}) check_visits<1>(rows, columns, blocks);
            for (const int64_t columns : {4, 12, 128, 132}) check_visits<4>(rows, columns, blocks);
        }
    }
}

TEST(emulated_launches_of_too_many_blocks_are_refused) {
    constexpr int64_t MOST = std::numeric_limits<int32_t>::max();
    check_equal(blocks_for(MOST * 256, 256), unsigned(MOST), "most blocks");
    check_throws([] { blocks_for(MOST * 256 + 1, 256); },
                 "a kernel has at most 2147483647 blocks, got 2147483648 for 549755813633 units of work");
    check_equal(strided_blocks_for(MOST * 256, 256), 65535u, "blocks that stride");
}

}  // namespace
}  // namespace dllm::cuda
