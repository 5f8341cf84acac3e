// The loop over rows that most kernels run in, on grids that are too small for the rows: no op case has as many rows as
// it takes to exceed a real grid.
#include "../../../native/cuda/dispatch.h"
#include "fixture.h"

#include <hardware.h>

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

}  // namespace
}  // namespace dllm::cuda
