// Copies and fills. Device addresses must lie in one allocation, from the first byte to the last.
#include "memory.h"
#include "stream.h"

#include <cstring>

using namespace dllm::emulated;

namespace {

constexpr size_t MOST_PITCH = (size_t(1) << 31) - 1;  // memPitch of the devices there are

// A block of rows: `width` bytes each, `pitch` apart.
struct Rows {
    const void* data;
    size_t pitch;
    size_t width;
    size_t count;

    size_t span() const { return count == 0 || width == 0 ? 0 : (count - 1) * pitch + width; }
};

enum class Side { host, device, either };

cudaError_t check_side(const Rows& rows, Side side) {
    if (rows.span() == 0) return cudaSuccess;
    if (rows.data == nullptr || rows.pitch < rows.width) return cudaErrorInvalidValue;
    if (side == Side::device) return is_device_memory(rows.data, rows.span()) ? cudaSuccess : cudaErrorInvalidValue;
    return side == Side::either || !is_device_memory(rows.data, 1) ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t check_sides(const Rows& to, const Rows& from, cudaMemcpyKind kind) {
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
    if (kind == cudaMemcpyDefault) {
        const cudaError_t error = check_side(to, Side::either);
        return error != cudaSuccess ? error : check_side(from, Side::either);
    }
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    const cudaError_t error = check_side(to, to_device ? Side::device : Side::host);
    return error != cudaSuccess ? error : check_side(from, from_device ? Side::device : Side::host);
}

cudaError_t copy_rows(const Rows& to, const Rows& from, cudaMemcpyKind kind, cudaStream_t stream) {
    if (const cudaError_t error = check_sides(to, from, kind); error != cudaSuccess) return error;
    return submit(stream, [to, from] {
        auto* out = static_cast<std::byte*>(const_cast<void*>(to.data));
        const auto* in = static_cast<const std::byte*>(from.data);
        for (size_t row = 0; row < to.count && to.width > 0; row++) {
            std::memmove(out + row * to.pitch, in + row * from.pitch, to.width);
        }
    });
}

cudaError_t fill_rows(const Rows& to, int value, cudaStream_t stream) {
    if (const cudaError_t error = check_side(to, Side::device); error != cudaSuccess) return error;
    return submit(stream, [to, value] {
        auto* out = static_cast<std::byte*>(const_cast<void*>(to.data));
        for (size_t row = 0; row < to.count && to.width > 0; row++) std::memset(out + row * to.pitch, value, to.width);
    });
}

}  // namespace

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t count, cudaMemcpyKind kind, cudaStream_t stream) {
    return runtime_call([&] { return copy_rows({to, count, count, 1}, {from, count, count, 1}, kind, stream); });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t count, cudaMemcpyKind kind) {
    return cudaMemcpyAsync(to, from, count, kind, nullptr);
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
    return runtime_call([&] {
        if (to_pitch < width || from_pitch < width) return cudaErrorInvalidPitchValue;
        if (to_pitch > MOST_PITCH || from_pitch > MOST_PITCH) return cudaErrorInvalidPitchValue;
        return copy_rows({to, to_pitch, width, height}, {from, from_pitch, width, height}, kind, stream);
    });
}

cudaError_t cudaMemsetAsync(void* data, int value, size_t count, cudaStream_t stream) {
    return runtime_call([&] { return fill_rows({data, count, count, 1}, value, stream); });
}

cudaError_t cudaMemset2DAsync(void* data, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream) {
    return runtime_call([&] {
        if (pitch < width) return cudaErrorInvalidPitchValue;
        return fill_rows({data, pitch, width, height}, value, stream);
    });
}

cudaError_t cudaMemset(void* data, int value, size_t count) { return cudaMemsetAsync(data, value, count, nullptr); }
