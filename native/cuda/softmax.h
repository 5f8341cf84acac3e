// The softmax of a row of logits in one read: the running sum of the exponentials.
#pragma once

#include "exponential.h"

#include <hardware.h>

#include <limits>

namespace dllm::cuda {

struct SoftmaxSum {
    float largest = -std::numeric_limits<float>::max();  // finite, so that minus infinities have e^-infinity, not NaN
    float sum = 0;

    // e^(x - largest); exactly 1 for the largest, so that a certain target has no loss
    __device__ float exponential(float x) const { return fast_exp2((x - largest) * LOG2_E); }

    // Far below the largest the approximate exponential would lose bits.
    __device__ float probability(float x) const { return expf(x - largest) / sum; }

    template <int N>
    __device__ void add(const float (&x)[N]) {
        float top = x[0];
        for (int i = 1; i < N; i++) top = fmaxf(top, x[i]);
        raise(top);
        float part = 0;
        for (int i = 0; i < N; i++) part += exponential(x[i]);
        sum += part;
    }

    __device__ void merge(const SoftmaxSum& other) {
        raise(other.largest);
        sum += other.sum * exponential(other.largest);
    }

    __device__ SoftmaxSum exchange(int lanes) const { return {shuffle_xor(largest, lanes), shuffle_xor(sum, lanes)}; }

private:
    __device__ void raise(float top) {
        if (!(top > largest)) return;
        const float old = largest;
        largest = top;
        sum *= exponential(old);
    }
};

}  // namespace dllm::cuda
