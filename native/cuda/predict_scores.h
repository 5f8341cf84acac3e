// What the rows of a sampling step are ordered by: states of one read of a row of logits, as merge_row() of row_packs.h
// takes them.
#pragma once

#include "../backend.h"
#include "softmax.h"

namespace dllm::cuda {

// Where the random numbers of one row come from.
struct RequestDraw {
    PhiloxKey key;
    uint32_t position, step;
};

__device__ inline RequestDraw draw_of(const RequestPlan* plan, int32_t row, int64_t length) {
    const RequestPlan& request = plan[row / length];
    return {request.key, uint32_t(row % length), uint32_t(request.step)};
}

// Every score has the softmax's state, for the confidence; result() is of the token's probability and the row's draw.
struct ConfidenceScore {
    SoftmaxSum softmax;

    template <int N>
    __device__ void add(const float (&x)[N]) {
        softmax.add(x);
    }
    __device__ void merge(const ConfidenceScore& other) { softmax.merge(other.softmax); }
    __device__ ConfidenceScore exchange(int lanes) const { return {softmax.exchange(lanes)}; }
    __device__ float result(float probability, const RequestDraw&) const { return probability; }
};

struct RandomScore : ConfidenceScore {
    __device__ float result(float, const RequestDraw& draw) const {
        return random_score(draw.key, draw.step, draw.position);
    }
};

// The largest probability less the second largest
struct MarginScore {
    SoftmaxSum softmax;
    float first = -INFINITY, second = -INFINITY;

    template <int N>
    __device__ void add(const float (&x)[N]) {
        softmax.add(x);
        for (int i = 0; i < N; i++) {
            second = fmaxf(second, fminf(first, x[i]));
            first = fmaxf(first, x[i]);
        }
    }
    __device__ void merge(const MarginScore& other) {
        softmax.merge(other.softmax);
        second = fmaxf(fminf(first, other.first), fmaxf(second, other.second));
        first = fmaxf(first, other.first);
    }
    __device__ MarginScore exchange(int lanes) const {
        return {softmax.exchange(lanes), shuffle_xor(first, lanes), shuffle_xor(second, lanes)};
    }
    __device__ float result(float, const RequestDraw&) const { return (1.0f - expf(second - first)) / softmax.sum; }
};

// Sum of p log p = sum of e d / sum of e - log(sum of e)  with  d = logit - largest, e = e^d
struct EntropyScore {
    SoftmaxSum softmax;
    float weighted = 0;  // sum of e d

    template <int N>
    __device__ void add(const float (&x)[N]) {
        const float largest = softmax.largest, sum = softmax.sum;
        softmax.add(x);
        raise(largest, sum);
        for (int i = 0; i < N; i++) weighted += weight(x[i]);
    }
    __device__ void merge(const EntropyScore& other) {
        EntropyScore second = other;
        const float largest = softmax.largest, sum = softmax.sum;
        softmax.merge(other.softmax);
        raise(largest, sum);
        second.softmax.largest = softmax.largest;
        second.raise(other.softmax.largest, other.softmax.sum);
        weighted += second.weighted;
    }
    __device__ EntropyScore exchange(int lanes) const {
        return {softmax.exchange(lanes), shuffle_xor(weighted, lanes)};
    }
    __device__ float result(float, const RequestDraw&) const { return weighted / softmax.sum - logf(softmax.sum); }

private:
    // e d; 0 for minus infinity, where the product would be NaN
    __device__ float weight(float x) const {
        const float d = x - softmax.largest, e = softmax.exponential(x);
        return e > 0 ? e * d : 0;
    }

    // From the sums relative to an earlier largest to those relative to the present one
    __device__ void raise(float largest, float sum) {
        if (largest == softmax.largest || sum == 0) return;
        const float d = largest - softmax.largest;
        weighted = softmax.exponential(largest) * (weighted + sum * d);
    }
};

}  // namespace dllm::cuda
