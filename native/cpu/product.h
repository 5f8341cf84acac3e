// One matrix product with everything that rides along with it: the arguments of the driver in product.cpp.
#pragma once

#include "../tensor.h"
#include "kernels.h"

namespace dllm {

// out = a b + residual + bias, or out += a b
struct Product {
    Tensor out;
    Operand a;
    Operand b;
    int64_t depth;
    Tensor residual;
    Tensor bias;
    bool accumulate = false;
    RowsForward activation = nullptr;
    Tensor activated;
    Tensor column_sums;  // += the sums of b's columns, b natural
};

void run_product(const Kernels& kernels, const ProductKernels& products, const Product& product);

// out (columns) += column sums of x (rows, columns)
void add_column_sums(const Kernels& kernels, float* out, ConstRows x, int64_t rows, int64_t columns);

}  // namespace dllm
