// Central finite differences against an analytic gradient, in double.
#pragma once

#include "random_matrix.h"
#include "reference/matrix.h"
#include "test.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

namespace dllm::test {

using DoubleMatrix = reference::Matrix<double>;

inline double dot(const DoubleMatrix& a, const DoubleMatrix& b) {
    return std::inner_product(a.data.begin(), a.data.end(), b.data.begin(), 0.0);
}

// A gradient buffer that does not start at zero, so that an op which overwrites what it should add to is caught.
struct Accumulator {
    DoubleMatrix start, value;

    Accumulator(Random& random, int64_t rows, int64_t cols) : start(random.normal<double>(rows, cols)), value(start) {}

    DoubleMatrix added() const {
        DoubleMatrix difference = value;
        for (size_t i = 0; i < start.data.size(); i++) difference.data[i] -= start.data[i];
        return difference;
    }
};

class GradientCheck {
public:
    GradientCheck(std::string what, std::function<double()> loss) : what_(std::move(what)), loss_(std::move(loss)) {}

    // Along directions of random signs every element takes part; single elements show where an error is.
    void operator()(const std::string& input, DoubleMatrix& x, const DoubleMatrix& dx) {
        CHECK(x.data.size() == dx.data.size());
        const double norm = std::sqrt(dot(dx, dx));
        for (int i = 0; i < DIRECTIONS; i++) {
            DoubleMatrix direction(x.rows, x.cols);
            for (double& sign : direction.data) sign = random_.bits() % 2 == 0 ? 1 : -1;
            compare(input + " along random signs", x, dx, direction, norm);
        }
        for (int i = 0; i < ELEMENTS; i++) {
            const int64_t last = int64_t(x.data.size()) - 1;
            const int64_t element = i == 0 ? 0 : i == 1 ? last : random_.integer(int32_t(last + 1));
            DoubleMatrix direction(x.rows, x.cols);
            direction.data[element] = 1;
            const double floor = 1e-2 * norm / std::sqrt(double(x.data.size()));
            compare(input + "[" + std::to_string(element) + "]", x, dx, direction,
                    std::max(std::abs(dx.data[element]), floor));
        }
    }

private:
    static constexpr int DIRECTIONS = 2;
    static constexpr int ELEMENTS = 6;
    static constexpr double STEP = 1e-5;
    static constexpr double TOLERANCE = 1e-6;
    static constexpr double NEGLIGIBLE = 1e-3;  // gradients below this are compared absolutely

    void compare(const std::string& where, DoubleMatrix& x, const DoubleMatrix& dx, const DoubleMatrix& direction,
                 double scale) {
        const double numeric = (loss_at(x, direction, STEP) - loss_at(x, direction, -STEP)) / (2 * STEP);
        const double analytic = dot(dx, direction);
        const double error = std::abs(numeric - analytic) / std::max(scale, NEGLIGIBLE);
        if (error <= TOLERANCE) return;
        throw Failure{
            join(what_, ", ", where, ": analytic ", analytic, ", numeric ", numeric, ", relative error ", error),
            std::source_location::current()};
    }

    double loss_at(DoubleMatrix& x, const DoubleMatrix& direction, double step) {
        const DoubleMatrix saved = x;
        for (size_t i = 0; i < x.data.size(); i++) x.data[i] += step * direction.data[i];
        const double loss = loss_();
        x = saved;
        return loss;
    }

    std::string what_;
    std::function<double()> loss_;
    Random random_{99};
};

}  // namespace dllm::test
