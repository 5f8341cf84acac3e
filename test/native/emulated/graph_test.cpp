// Streams, events, and graphs captured from a stream.
#include <hardware.h>

#include "fixture.h"

#include <thread>

namespace dllm::emulated {
namespace {

using namespace cuda;

__global__ void add_kernel(float* x, float value) { x[threadIdx.x] += value; }

struct Stream {
    cudaStream_t handle = nullptr;
    explicit Stream(unsigned flags = cudaStreamNonBlocking) { succeed(cudaStreamCreateWithFlags(&handle, flags)); }
    ~Stream() { cudaStreamDestroy(handle); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    void begin_capture(cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal) const {
        succeed(cudaStreamBeginCapture(handle, mode));
    }
    cudaError_t end_capture() const {
        cudaGraph_t graph = nullptr;
        const cudaError_t error = cudaStreamEndCapture(handle, &graph);
        CHECK((graph != nullptr) == (error == cudaSuccess));
        if (graph != nullptr) succeed(cudaGraphDestroy(graph));
        return error;
    }
};

TEST(emulated_graphs_replay_what_was_captured) {
    const FreshDevice fresh;
    const int64_t handles = live_handles();
    {
        const Stream stream;
        DeviceArray<float> x(std::vector<float>(4, 0.0f)), y(std::vector<float>(4, 0.0f));
        std::vector<float> staging(4, 10.0f);
        float value = 1.0f;
        stream.begin_capture();
        succeed(cudaMemcpyAsync(x.data(), staging.data(), 16, cudaMemcpyHostToDevice, stream.handle));
        succeed(launch(add_kernel, 1, 4, 0, stream.handle, x.data(), value));
        succeed(cudaMemcpyAsync(y.data(), x.data(), 16, cudaMemcpyDeviceToDevice, stream.handle));
        succeed(cudaMemsetAsync(x.data(), 0, 4, stream.handle));
        cudaStreamCaptureStatus status{};
        succeed(cudaStreamIsCapturing(stream.handle, &status));
        CHECK(status == cudaStreamCaptureStatusActive);
        cudaGraph_t graph = nullptr;
        cudaGraphExec_t executable = nullptr;
        succeed(cudaStreamEndCapture(stream.handle, &graph));
        succeed(cudaGraphInstantiate(&executable, graph));
        succeed(cudaGraphDestroy(graph));
        check_equal(y.download()[0], 0.0f, "nothing has run");
        value = 100.0f;      // was taken at capture
        staging[1] = 20.0f;  // is read at launch
        for (int repeat = 0; repeat < 2; repeat++) {
            succeed(cudaGraphLaunch(executable, stream.handle));
            check_equal(y.download(), std::vector<float>{11, 21, 11, 11}, "y");
            check_equal(x.download(), std::vector<float>{0, 21, 11, 11}, "x");
        }
        succeed(cudaStreamSynchronize(stream.handle));
        succeed(cudaGraphExecDestroy(executable));
        check_error(cudaGraphLaunch(executable, stream.handle), cudaErrorInvalidValue);
    }
    check_equal(live_handles() - handles, 0, "handles");
}

TEST(emulated_capture_is_spoiled_by_what_cannot_be_captured) {
    const FreshDevice fresh;
    const Stream stream;
    DeviceArray<float> x(4);
    void* memory = nullptr;
    const auto check = [&](cudaStreamCaptureMode mode, auto call, cudaError_t expected) {
        stream.begin_capture(mode);
        check_error(call(), expected);
        check_error(launch(add_kernel, 1, 4, 0, stream.handle, x.data(), 1.0f), cudaErrorStreamCaptureInvalidated);
        check_error(stream.end_capture(), cudaErrorStreamCaptureInvalidated);
        succeed(cudaStreamSynchronize(stream.handle));
    };
    for (const auto mode : {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal}) {
        check(
            mode, [&] { return cudaStreamSynchronize(stream.handle); }, cudaErrorStreamCaptureUnsupported);
        check(
            mode, [&] { return cudaStreamQuery(stream.handle); }, cudaErrorStreamCaptureUnsupported);
        check(
            mode, [&] { return cudaDeviceSynchronize(); }, cudaErrorStreamCaptureUnsupported);
        check(
            mode, [&] { return cudaMalloc(&memory, 8); }, cudaErrorStreamCaptureUnsupported);
        check(
            mode, [&] { return cudaFree(x.data()); }, cudaErrorStreamCaptureUnsupported);
    }
    // Another thread's allocation spoils a global capture only, one's own only those that are not relaxed.
    const auto allocate_elsewhere = [&] {
        cudaError_t error = cudaSuccess;
        std::thread([&] { error = cudaMalloc(&memory, 8); }).join();
        return error;
    };
    check(cudaStreamCaptureModeGlobal, allocate_elsewhere, cudaErrorStreamCaptureUnsupported);
    stream.begin_capture(cudaStreamCaptureModeThreadLocal);
    succeed(allocate_elsewhere());
    succeed(stream.end_capture());
    succeed(cudaFree(memory));
    stream.begin_capture(cudaStreamCaptureModeRelaxed);
    succeed(cudaMalloc(&memory, 8));
    succeed(stream.end_capture());
    succeed(cudaFree(memory));
}

TEST(emulated_default_stream_waits_for_captures_of_blocking_streams) {
    const FreshDevice fresh;
    const Stream blocking(cudaStreamDefault), independent;
    DeviceArray<float> x(4);
    blocking.begin_capture();
    check_error(cudaMemset(x.data(), 0, 4), cudaErrorStreamCaptureImplicit);
    check_error(blocking.end_capture(), cudaErrorStreamCaptureInvalidated);
    independent.begin_capture();
    succeed(cudaMemset(x.data(), 0, 4));
    succeed(independent.end_capture());
    check_error(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal), cudaErrorStreamCaptureUnsupported);
    check_error(independent.end_capture(), cudaErrorIllegalState);
}

TEST(emulated_events) {
    const FreshDevice fresh;
    const Stream stream, other;
    cudaEvent_t start = nullptr, end = nullptr, untimed = nullptr;
    succeed(cudaEventCreate(&start));
    succeed(cudaEventCreateWithFlags(&end, cudaEventDefault));
    succeed(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming));
    float milliseconds = -1;
    check_error(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorInvalidResourceHandle);
    succeed(cudaEventRecord(start, stream.handle));
    succeed(cudaEventRecord(end, stream.handle));
    succeed(cudaEventRecord(untimed, stream.handle));
    succeed(cudaStreamWaitEvent(other.handle, untimed));
    succeed(cudaEventSynchronize(end));
    succeed(cudaEventQuery(untimed));
    succeed(cudaEventElapsedTime(&milliseconds, start, end));
    CHECK(milliseconds >= 0 && milliseconds < 1000);
    check_error(cudaEventElapsedTime(&milliseconds, start, untimed), cudaErrorInvalidResourceHandle);
    // In a capture an event is a point of the graph, not of time.
    stream.begin_capture();
    succeed(cudaEventRecord(end, stream.handle));
    check_error(cudaEventSynchronize(end), cudaErrorCapturedEvent);
    check_error(cudaStreamWaitEvent(stream.handle, start), cudaErrorStreamCaptureIsolation);
    check_error(stream.end_capture(), cudaErrorStreamCaptureInvalidated);
    for (const cudaEvent_t event : {start, end, untimed}) succeed(cudaEventDestroy(event));
    check_error(cudaEventRecord(start, stream.handle), cudaErrorInvalidResourceHandle);
}

__global__ void read_kernel(float* out, const float* x) { stray_write(out + (x[0] > 0 ? 1 : 0), 1.0f); }

TEST(emulated_faults_come_out_of_the_graph_that_runs_them) {
    const FreshDevice fresh;
    const Stream stream;
    DeviceArray<float> out(1), x(std::vector<float>{1});
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    stream.begin_capture();
    succeed(launch(read_kernel, 1, 1, 0, stream.handle, out.data(), x.data()));
    succeed(cudaStreamEndCapture(stream.handle, &graph));
    succeed(cudaGraphInstantiate(&executable, graph));
    check_throws([&] { succeed(cudaGraphLaunch(executable, stream.handle)); }, "read_kernel");
    x.upload({0});
    succeed(cudaGraphLaunch(executable, stream.handle));
    succeed(cudaGraphDestroy(graph));
    succeed(cudaGraphExecDestroy(executable));
}

}  // namespace
}  // namespace dllm::emulated
