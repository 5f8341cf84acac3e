// The global gradient norm, AdamW (Loshchilov & Hutter, 2019) and the moving average of the weights, on flat tensors:
// groups of four elements where all are aligned to them, then single ones.
#include "../update_check.h"
#include "backend.h"
#include "dispatch.h"
#include "reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dllm::cuda {
namespace {

constexpr int THREADS = 256, GROUP = 4;

// Groups in tensors of one shape: none where one of them starts between groups.
int64_t groups_of(std::initializer_list<Tensor> tensors) {
    for (const Tensor& x : tensors)
        if (reinterpret_cast<uintptr_t>(x.data) % uintptr_t(GROUP * dtype_bytes(x.dtype)) != 0) return 0;
    return tensors.begin()->count() / GROUP;
}

// The groups, and the elements after them, that a launch of one thread each covers.
struct Flat {
    int64_t groups, count;

    Flat(std::initializer_list<Tensor> tensors) : groups(groups_of(tensors)), count(tensors.begin()->count()) {}

    dim3 grid() const { return dim3(blocks_for(groups + count - groups * GROUP, THREADS)); }

    // Calls visit(first, width) for the thread's group or element.
    template <class Visit>
    __device__ void visit_own(const Visit& visit) const {
        const int64_t unit = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
        const int64_t single = unit - groups + groups * GROUP;
        if (unit < groups) {
            visit(unit * GROUP, std::integral_constant<int, GROUP>{});
        } else if (single < count) {
            visit(single, std::integral_constant<int, 1>{});
        }
    }
};

// For data that no kernel soon reads again.
template <int WIDTH>
__device__ inline void load_once(float (&values)[WIDTH], const float* from) {
    if constexpr (WIDTH == 1) {
        values[0] = load_streaming(from);
    } else {
        const float4 group = load_streaming(reinterpret_cast<const float4*>(from));
        values[0] = group.x, values[1] = group.y, values[2] = group.z, values[3] = group.w;
    }
}

template <int WIDTH>
__device__ inline void store_once(float* to, const float (&values)[WIDTH]) {
    if constexpr (WIDTH == 1) {
        store_streaming(to, values[0]);
    } else {
        store_streaming(reinterpret_cast<float4*>(to), make_float4(values[0], values[1], values[2], values[3]));
    }
}

// ---- the norm

// As many on every device, so that the norm has the same bits on all.
constexpr int64_t NORM_THREADS = 512, MOST_NORM_BLOCKS = 1024;

// partial (blocks) = sums of squares: in float32 over a few elements, in float64 over those sums. Of elements above
// 4e18 the former is infinite, and so is the norm: the update is left out.
__global__ void __launch_bounds__(NORM_THREADS) square_partials(double* partial, const float* x, Flat flat) {
    constexpr int BATCH = 4;
    const int64_t threads = int64_t(gridDim.x) * NORM_THREADS, own = int64_t(blockIdx.x) * NORM_THREADS + threadIdx.x;
    double sum = 0;
    for (int64_t first = own; first < flat.groups; first += BATCH * threads) {
        float values[BATCH][GROUP] = {};
#pragma unroll
        for (int i = 0; i < BATCH; i++)
            if (first + i * threads < flat.groups) load_once(values[i], x + (first + i * threads) * GROUP);
        float squares = 0;
        for (int i = 0; i < BATCH; i++)
            for (int k = 0; k < GROUP; k++) squares = fmaf(values[i][k], values[i][k], squares);
        sum += double(squares);
    }
    for (int64_t i = flat.groups * GROUP + own; i < flat.count; i += threads) sum += double(x[i]) * double(x[i]);
    sum = block_sum(sum, shared_memory<double>());
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// out = sqrt(sum of partial (count)), in one block
__global__ void __launch_bounds__(NORM_THREADS) norm_of_partials(float* out, const double* partial, int64_t count) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < count; i += NORM_THREADS) sum += partial[i];
    sum = block_sum(sum, shared_memory<double>());
    if (threadIdx.x == 0) *out = float(sqrt(sum));
}

// ---- what an update reads from device memory, after the loads of its own elements: those then wait for nothing

__device__ inline bool all_finite(const float* stats) {
    bool finite = true;
    for (int i = 0; i < Stats::columns; i++) finite &= fabsf(stats[i]) <= std::numeric_limits<float>::max();
    return finite;
}

// ---- AdamW

// What all elements of a step have in common
struct AdamWStep {
    float gradient_scale, rate, root_scale, decay;

    __device__ AdamWStep(const float* stats, const float* schedule, const AdamWConstants& constants) {
        const float clip = constants.gradient_clip, learning_rate = schedule[Schedule::learning_rate];
        gradient_scale = clip > 0 ? fminf(1.0f, clip / (stats[Stats::gradient_norm] + 1e-6f)) : 1.0f;
        rate = learning_rate / schedule[Schedule::bias_correction1];
        root_scale = 1.0f / sqrtf(schedule[Schedule::bias_correction2]);
        decay = 1.0f - learning_rate * constants.weight_decay;
    }
};

template <int WIDTH, class T>
__device__ inline void store_rounded(T* to, const float (&values)[WIDTH]) {
    if constexpr (WIDTH == 1 || WIDTH == PACK<T>) {
        store(to, values);
    } else {
        *reinterpret_cast<uint2*>(to) = make_uint2(pack_bf16(values[0], values[1]), pack_bf16(values[2], values[3]));
    }
}

// The operations of the CPU's, in its order. rounded may be null.
template <class T>
__global__ void __launch_bounds__(THREADS)
    adamw_kernel(T* rounded, float* weights, float* first_moment, float* second_moment, const float* gradients,
                 const float* stats, const float* schedule, AdamWConstants constants, Flat flat) {
    flat.visit_own([&](int64_t first, auto width) {
        constexpr int WIDTH = decltype(width)::value;
        float w[WIDTH], m[WIDTH], v[WIDTH], g[WIDTH];
        load_once(w, weights + first);
        load_once(m, first_moment + first);
        load_once(v, second_moment + first);
        load_once(g, gradients + first);
        const AdamWStep step(stats, schedule, constants);
        if (!all_finite(stats)) return;
        const float rest1 = 1.0f - constants.beta1, rest2 = 1.0f - constants.beta2;
        for (int i = 0; i < WIDTH; i++) {
            const float scaled = g[i] * step.gradient_scale;
            m[i] = fmaf(constants.beta1, m[i], rest1 * scaled);
            v[i] = fmaf(constants.beta2, v[i], rest2 * (scaled * scaled));
            const float denominator = fmaf(sqrtf(v[i]), step.root_scale, constants.epsilon);
            w[i] = fmaf(w[i], step.decay, -(step.rate * m[i] / denominator));
        }
        store_once(weights + first, w);
        store_once(first_moment + first, m);
        store_once(second_moment + first, v);
        if (rounded != nullptr) store_rounded(rounded + first, w);
    });
}

// ---- the moving average

__global__ void __launch_bounds__(THREADS)
    moving_average_kernel(float* out, const float* x, const float* stats, const float* schedule, Flat flat) {
    flat.visit_own([&](int64_t first, auto width) {
        constexpr int WIDTH = decltype(width)::value;
        float average[WIDTH], value[WIDTH];
        load_once(average, out + first);
        load_once(value, x + first);
        const float rest = schedule[Schedule::average_rest];
        if (!all_finite(stats)) return;
        for (int i = 0; i < WIDTH; i++) average[i] = fmaf(rest, value[i] - average[i], average[i]);
        store_once(out + first, average);
    });
}

}  // namespace

void CudaBackend::global_norm(Tensor out, Tensor x) {
    const OpCheck op("global_norm");
    op.shape("out", out, 1, 1);
    op.shape("x", x, x.rows, x.cols);
    op.contiguous("x", x);
    constexpr size_t SUMS = NORM_THREADS / WARP_SIZE * sizeof(double);
    const cudaStream_t stream = context_.stream();
    const int64_t blocks = std::min(ceil_div(x.count(), NORM_THREADS * GROUP), MOST_NORM_BLOCKS);
    auto* const partial = static_cast<double*>(scratch_.get(size_t(blocks) * sizeof(double)));
    if (blocks > 0) {
        check(launch(square_partials, dim3(unsigned(blocks)), dim3(NORM_THREADS), SUMS, stream, partial, x.f32(),
                     Flat{x}),
              "square_partials");
    }
    check(launch(norm_of_partials, dim3(1), dim3(NORM_THREADS), SUMS, stream, out.f32(), partial, blocks),
          "norm_of_partials");
}

void CudaBackend::adamw(Tensor weights, Tensor first_moment, Tensor second_moment, Tensor gradients, Tensor stats,
                        Tensor schedule, const AdamWConstants& constants) {
    check_adamw(OpCheck("adamw"), weights, first_moment, second_moment, gradients, stats, schedule);
    if (weights.count() == 0) return;
    const Flat flat{weights, first_moment, second_moment, gradients};
    check(
        launch(adamw_kernel<float>, flat.grid(), dim3(THREADS), 0, context_.stream(), nullptr, weights.f32(),
               first_moment.f32(), second_moment.f32(), gradients.f32(), stats.f32(), schedule.f32(), constants, flat),
        "adamw_kernel");
}

void CudaBackend::adamw_rounding(Tensor rounded, Tensor weights, Tensor first_moment, Tensor second_moment,
                                 Tensor gradients, Tensor stats, Tensor schedule, const AdamWConstants& constants) {
    const OpCheck op("adamw_rounding");
    check_adamw(op, weights, first_moment, second_moment, gradients, stats, schedule);
    op.shape("rounded", rounded, weights.rows, weights.cols, compute_);
    op.contiguous("rounded", rounded);
    if (weights.count() == 0) return;
    const Flat flat{weights, first_moment, second_moment, gradients, rounded};
    dispatch(compute_, [&](auto element) {
        using T = decltype(element);
        check(launch(adamw_kernel<T>, flat.grid(), dim3(THREADS), 0, context_.stream(), static_cast<T*>(rounded.data),
                     weights.f32(), first_moment.f32(), second_moment.f32(), gradients.f32(), stats.f32(),
                     schedule.f32(), constants, flat),
              "adamw_kernel");
    });
}

void CudaBackend::moving_average(Tensor out, Tensor x, Tensor stats, Tensor schedule) {
    const OpCheck op("moving_average");
    check_update(op, stats, schedule);
    op.shape("x", x, out.rows, out.cols);
    op.contiguous("out", out);
    op.contiguous("x", x);
    if (out.count() == 0) return;
    const Flat flat{out, x};
    check(launch(moving_average_kernel, flat.grid(), dim3(THREADS), 0, context_.stream(), out.f32(), x.f32(),
                 stats.f32(), schedule.f32(), flat),
          "moving_average_kernel");
}

}  // namespace dllm::cuda
