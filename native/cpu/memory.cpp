// Memory of the CPU backend: what tensors live in, what kernels work in, and moving rows.
#include "../thread_pool.h"
#include "backend.h"
#include "check.h"
#include "scratch.h"

#include <atomic>
#include <cstring>
#include <new>

namespace dllm {

namespace {

constexpr std::align_val_t ALIGNMENT{64};
constexpr size_t HEADER_BYTES = 64;  // holds the size, and keeps what follows aligned
constexpr int64_t COPY_GRAIN = 1 << 16;

std::atomic<size_t> allocated_bytes = 0;

void* aligned_new(size_t bytes) {
    void* data = ::operator new(bytes, ALIGNMENT, std::nothrow);
    if (data == nullptr)
        fail(ErrorCode::out_of_memory, "could not allocate " + std::to_string(bytes) + " bytes of memory");
    return data;
}

struct Buffer {
    float* data = nullptr;
    int64_t floats = 0;

    void grow(int64_t wanted) {
        if (wanted <= floats) return;
        clear();
        data = static_cast<float*>(aligned_new(size_t(wanted) * sizeof(float)));
        floats = wanted;
    }

    void clear() {
        ::operator delete(data, ALIGNMENT);
        data = nullptr;
        floats = 0;
    }

    ~Buffer() { clear(); }
};

// rows per unit, so that a unit moves about COPY_GRAIN elements
int64_t rows_per_unit(int64_t cols) { return std::max<int64_t>(1, COPY_GRAIN / std::max<int64_t>(1, cols)); }

}  // namespace

float* scratch(ScratchUse use, int64_t floats) {
    thread_local Buffer buffers[2];
    Buffer& buffer = buffers[int(use)];
    buffer.grow(floats);
    return buffer.data;
}

size_t cpu_allocated_bytes() { return allocated_bytes.load(); }

void* CpuBackend::allocate(size_t bytes) {
    if (bytes > SIZE_MAX / 2)
        fail(ErrorCode::out_of_memory, "could not allocate " + std::to_string(bytes) + " bytes of memory");
    void* block = aligned_new(bytes + HEADER_BYTES);
    std::memcpy(block, &bytes, sizeof bytes);
    allocated_bytes += bytes;
    return static_cast<std::byte*>(block) + HEADER_BYTES;
}

void CpuBackend::release(void* data) {
    if (data == nullptr) return;
    void* block = static_cast<std::byte*>(data) - HEADER_BYTES;
    size_t bytes;
    std::memcpy(&bytes, block, sizeof bytes);
    allocated_bytes -= bytes;
    ::operator delete(block, ALIGNMENT);
}

void CpuBackend::upload(Tensor out, const void* host) {
    OpCheck("upload").contiguous("out", out);
    if (out.count() > 0) std::memcpy(out.data, host, size_t(out.count() * dtype_bytes(out.dtype)));
}

void CpuBackend::download(void* host, Tensor x) {
    if (x.count() == 0) return;
    if (x.contiguous()) x = x.reshape(1, x.count());
    const size_t bytes = size_t(x.cols * dtype_bytes(x.dtype));
    for (int64_t r = 0; r < x.rows; r++)
        std::memcpy(static_cast<std::byte*>(host) + size_t(r) * bytes, x.slice_rows(r, 1).data, bytes);
}

void CpuBackend::zero(Tensor out) {
    if (out.count() == 0) return;
    if (out.contiguous()) out = out.reshape(1, out.count());
    const int64_t element = dtype_bytes(out.dtype);
    if (out.rows == 1) {
        parallel_ranges(out.cols, COPY_GRAIN, [&](int64_t begin, int64_t end) {
            std::memset(out.slice_cols(begin, 0).data, 0, size_t((end - begin) * element));
        });
        return;
    }
    parallel_ranges(out.rows, rows_per_unit(out.cols), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; r++) std::memset(out.slice_rows(r, 1).data, 0, size_t(out.cols * element));
    });
}

void CpuBackend::copy(Tensor out, Tensor x) {
    OpCheck("copy").shape("out", out, x.rows, x.cols, x.dtype);
    if (out.count() == 0) return;
    if (out.contiguous() && x.contiguous()) {
        out = out.reshape(1, out.count());
        x = x.reshape(1, x.count());
    }
    const int64_t element = dtype_bytes(out.dtype);
    if (out.rows == 1) {
        parallel_ranges(out.cols, COPY_GRAIN, [&](int64_t begin, int64_t end) {
            std::memcpy(out.slice_cols(begin, 0).data, x.slice_cols(begin, 0).data, size_t((end - begin) * element));
        });
        return;
    }
    parallel_ranges(out.rows, rows_per_unit(out.cols), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; r++) {
            std::memcpy(out.slice_rows(r, 1).data, x.slice_rows(r, 1).data, size_t(out.cols * element));
        }
    });
}

void CpuBackend::gather_rows(Tensor out, Tensor x, Tensor rows) {
    const OpCheck check("gather_rows");
    check.shape("out", out, rows.cols, x.cols);
    check.shape("rows", rows, 1, rows.cols, DType::i32);
    check.indices("rows", rows, x.rows);
    parallel_ranges(out.rows, rows_per_unit(out.cols), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; r++) {
            std::memcpy(out.f32() + r * out.stride, x.f32() + rows.i32()[r] * x.stride, size_t(x.cols) * sizeof(float));
        }
    });
}

void CpuBackend::scatter_rows(Tensor dx, Tensor dout, Tensor rows) {
    const OpCheck check("scatter_rows");
    check.shape("dout", dout, rows.cols, dx.cols);
    check.shape("rows", rows, 1, rows.cols, DType::i32);
    check.indices("rows", rows, dx.rows);
    parallel_ranges(dout.rows, rows_per_unit(dout.cols), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; r++) {
            float* to = dx.f32() + rows.i32()[r] * dx.stride;
            kernels_.add(to, to, dout.f32() + r * dout.stride, dx.cols);
        }
    });
}

}  // namespace dllm
