// Launching a grid: one block after the other, and a look at all guards after each.
#include "grid.h"

#include "block.h"
#include "device.h"
#include "memory.h"
#include "properties.h"
#include "stream.h"

#include <utility>

namespace dllm::emulated {

namespace {

bool within(dim3 shape, dim3 most) {
    return shape.x >= 1 && shape.x <= most.x && shape.y >= 1 && shape.y <= most.y && shape.z >= 1 && shape.z <= most.z;
}

cudaError_t check_limits(const Launch& launch) {
    if (launch.kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (!within(launch.grid, MAX_GRID_SHAPE) || !within(launch.block, MAX_BLOCK_SHAPE)) {
        return cudaErrorInvalidConfiguration;
    }
    const uint64_t threads = uint64_t(launch.block.x) * launch.block.y * launch.block.z;
    if (threads > uint64_t(MAX_THREADS)) return cudaErrorInvalidConfiguration;
    return launch.shared_bytes > MAX_SHARED_BYTES ? cudaErrorInvalidValue : cudaSuccess;
}

void run(const Launch& launch) {
    if (device().listed != nullptr) {
        device().listed->insert(launch.kernel);
        return;
    }
    if (!begin_launch()) return;
    Block& block = running_block();
    const int64_t count = int64_t(launch.grid.x) * launch.grid.y * launch.grid.z;
    block.begin_launch(launch, ThreadOrder(device().order, &device().random, count));
    for (int64_t i = 0; i < count; i++) {
        block.run(i);
        if (const std::string damage = find_damage(); !damage.empty()) block.fault_of_block(damage);
    }
    device().delay += device().kernel_delay;
}

}  // namespace

cudaError_t launch_grid(Launch launch, cudaStream_t stream) {
    return runtime_call([&] {
        if (const cudaError_t error = check_limits(launch); error != cudaSuccess) return error;
        return submit(stream, [launch = std::move(launch)] { run(launch); });
    });
}

}  // namespace dllm::emulated
