// Memory of the device: allocation, transfers, zeroing, copies between the float types.
#include "backend.h"
#include "dispatch.h"

#include <hardware.h>

#include <algorithm>

namespace dllm::cuda {
namespace {

constexpr int THREADS = 256;

template <class Out, class In>
__global__ void convert(Rows<Out> out, Rows<const In> x, int64_t rows, int64_t columns) {
    const int64_t column = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (column >= columns) return;
    for (int64_t row = blockIdx.y; row < rows; row += gridDim.y)
        out.row(row)[column] = from_float<Out>(to_float(x.row(row)[column]));
}

}  // namespace

void* CudaBackend::allocate(size_t bytes) { return context_.allocate(bytes); }

void CudaBackend::release(void* data) { context_.release(data); }

void CudaBackend::upload(Tensor out, const void* host) {
    OpCheck("upload").contiguous("out", out);
    context_.upload(out.data, host, size_t(out.count() * dtype_bytes(out.dtype)));
}

void CudaBackend::download(void* host, Tensor x) {
    const int64_t bytes = dtype_bytes(x.dtype);
    if (x.contiguous()) x = x.reshape(1, x.count());
    context_.download(host, x.data, size_t(x.stride * bytes), size_t(x.cols * bytes), size_t(x.rows));
}

void CudaBackend::zero(Tensor out) {
    if (out.count() == 0) return;
    const size_t bytes = size_t(dtype_bytes(out.dtype)), width = size_t(out.cols) * bytes;
    const cudaStream_t stream = context_.stream();
    if (out.contiguous()) {
        check(cudaMemsetAsync(out.data, 0, width * size_t(out.rows), stream), "cudaMemsetAsync");
    } else {
        check(cudaMemset2DAsync(out.data, size_t(out.stride) * bytes, 0, width, size_t(out.rows), stream),
              "cudaMemset2DAsync");
    }
}

void CudaBackend::copy(Tensor out, Tensor x) {
    const OpCheck op("copy");
    op.shape("out", out, x.rows, x.cols, out.dtype);
    if (out.count() == 0) return;
    const cudaStream_t stream = context_.stream();
    const size_t bytes = size_t(dtype_bytes(x.dtype));
    if (out.dtype == x.dtype && out.contiguous() && x.contiguous()) {
        check(cudaMemcpyAsync(out.data, x.data, size_t(x.count()) * bytes, cudaMemcpyDeviceToDevice, stream),
              "cudaMemcpyAsync");
        return;
    }
    if (out.dtype == x.dtype) {
        check(cudaMemcpy2DAsync(out.data, size_t(std::max(out.stride, out.cols)) * bytes, x.data,
                                size_t(std::max(x.stride, x.cols)) * bytes, size_t(x.cols) * bytes, size_t(x.rows),
                                cudaMemcpyDeviceToDevice, stream),
              "cudaMemcpy2DAsync");
        return;
    }
    op.that(out.dtype != DType::i32 && x.dtype != DType::i32, "converts between the float types only");
    const dim3 grid(blocks_for(x.cols, THREADS), strided_blocks_for(x.rows, 1));
    const auto run = [&](auto to, auto from) {
        using Out = decltype(to);
        using In = decltype(from);
        check(launch(convert<Out, In>, grid, dim3(THREADS), 0, stream, rows_of<Out>(out), rows_of<const In>(x), x.rows,
                     x.cols),
              "convert");
    };
    if (out.dtype == DType::bf16) {
        run(bfloat16{}, float{});
    } else {
        run(float{}, bfloat16{});
    }
}

}  // namespace dllm::cuda
