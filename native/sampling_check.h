// Checks of the arguments that the ops of a sampling step share.
#pragma once

#include "backend.h"
#include "op_check.h"

namespace dllm {

class SamplingCheck : public OpCheck {
public:
    using OpCheck::OpCheck;

    void plan(const Tensor& x) const {
        shape("plan", x, x.rows, PLAN_COLUMNS, DType::i32);
        contiguous("plan", x);
    }

    // x is in host memory.
    void blocks(const Tensor& x, int64_t length) const {
        for (int64_t b = 0; b < x.rows; b++) {
            const RequestPlan& request = static_cast<const RequestPlan*>(x.data)[b];
            that(request.begin >= 0 && request.begin <= request.end && request.end <= length,
                 "a block must be inside its request");
        }
    }

    void predictions(const Predictions& x, int64_t rows) const {
        shape("rows", x.rows, 1, rows, DType::i32);
        shape("tokens", x.tokens, 1, rows, DType::i32);
        shape("confidence", x.confidence, 1, rows);
        shape("score", x.score, 1, rows);
    }

    void canvases(const Canvases& x, int64_t rows) const {
        shape("tokens", x.tokens, 1, rows, DType::i32);
        shape("steps", x.steps, 1, rows, DType::i32);
        shape("confidences", x.confidences, 1, rows);
    }

    void options(const PredictOptions& x) const {
        if (!(x.temperature >= 0)) broken("temperature must be at least 0, got " + std::to_string(x.temperature));
        if (x.top_k < 0) broken("top_k must be at least 0, got " + std::to_string(x.top_k));
        if (!(x.top_p > 0 && x.top_p <= 1))
            broken("top_p must be above 0 and at most 1, got " + std::to_string(x.top_p));
    }
};

}  // namespace dllm
