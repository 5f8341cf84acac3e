// The controls of the emulated GPU: order of its threads, planted failures, accounts. A test that changes anything here
// calls reset() before and after.
//
// Kernels run in the call that launches them (or launches their graph). A fault in one is thrown from that call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <stdexcept>

namespace dllm::emulated {

// What a kernel may not do. The message names kernel, block, thread, and what happened.
class Fault : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// The order in which blocks, the warps of a block and the lanes of a warp run between two barriers. A kernel without
// races gives the same result in all; a missing barrier shows in at least one.
enum class Order { ascending, descending, shuffled };
void set_order(Order order, uint64_t seed = 0);

// From now on kernels are entered here instead of being run; null: they run.
void list_kernels(std::set<const void*>* into);

// The n-th allocation from now (1: the next) of device or pinned host memory fails once, for lack of memory.
void fail_allocation(int64_t n);
// The same of the n-th stream, event, graph, cuBLASLt handle or descriptor.
void fail_handle(int64_t n);
// The n-th kernel or matrix product from now (1: the next) does nothing, and every call after it returns
// cudaErrorIllegalAddress until reset().
void fail_launch(int64_t n);
// The n-th launch of a graph from now fails once, for lack of memory, and nothing of it runs.
void fail_graph_launch(int64_t n);
// The device's memory in bytes, 16 GB at first: what allocations are refused beyond, and what cudaMemGetInfo tells.
void set_device_memory(size_t bytes);
// 80 at first: 10 times the compute capability.
void set_compute_capability(int capability);
// 1 at first; with 0 every call returns cudaErrorNoDevice.
void set_device_count(int count);
// The CUDA version that the driver supports, at first the runtime's own. With an older one, or 0 for no driver, every
// call returns cudaErrorInsufficientDriver.
void set_driver_version(int version);

// By the clock of events, every product by the n-th algorithm of the emulated cuBLASLt takes this much longer; every
// product with an epilogue beyond a bias; every kernel.
constexpr int ALGORITHMS = 4;
void slow_algorithm(int n, double milliseconds);
void slow_epilogues(double milliseconds);
void slow_kernels(double milliseconds);
// From now on each algorithm sums in an order of its own, so that its last bits tell it.
void tell_algorithms_apart();
// Products by the n-th algorithm are refused, though it is offered.
void refuse_algorithm(int n);
// Products with an epilogue beyond a bias are refused: with INVALID_VALUE where algorithms for them are asked for, or
// with EXECUTION_FAILED where they are run.
enum class Refusal { none, heuristic, launch };
void refuse_epilogues(Refusal where);
// Products by the n-th algorithm, since reset().
int64_t algorithm_runs(int n);

int64_t allocation_count();  // calls that allocated device or pinned host memory, since the program started
int64_t handle_count();      // streams, events and so on that were asked for, since the program started
int64_t launch_count();      // kernels and matrix products that ran, since the program started
size_t live_bytes();         // of device memory
int64_t live_allocations();  // of device and pinned host memory
int64_t live_handles();      // streams, events, graphs, cuBLASLt handles and descriptors

// Ascending order, nothing planted, nothing slow, no error, 16 GB. What is allocated stays.
void reset();

}  // namespace dllm::emulated
