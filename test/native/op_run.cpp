// Guarded buffers around every operand, and what they show after the op.
#include "op_run.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace dllm::test {
namespace {

// Two quiet NaNs: reading a guard or an unwritten element shows up as NaN in the result, writing a guard as a change.
constexpr uint32_t GUARD = 0x7fc0dead;
constexpr uint32_t POISON = 0x7fc0beef;
constexpr int64_t GUARD_ENDS = 64;  // elements before and after the rows; keeps a tight tensor 64-byte aligned
constexpr int64_t GUARD_LEFT = 3, GUARD_RIGHT = 5;

std::vector<uint32_t> bits_of(const reference::Matrix<float>& values) {
    std::vector<uint32_t> bits;
    bits.reserve(values.data.size());
    for (const float value : values.data) bits.push_back(std::bit_cast<uint32_t>(value));
    return bits;
}

}  // namespace

OpRun::~OpRun() {
    for (const Buffer& buffer : buffers_) {
        backend.release(static_cast<uint32_t*>(buffer.tensor.data) - buffer.offset);
    }
}

Tensor OpRun::place(const std::string& name, Role role, DType dtype, int64_t rows, int64_t cols,
                    const std::vector<uint32_t>& values, Placement placement) {
    const bool strided = placement == Placement::strided;
    const int64_t left = strided ? GUARD_LEFT : 0, stride = cols + left + (strided ? GUARD_RIGHT : 0);
    const int64_t offset = GUARD_ENDS + left;
    std::vector<uint32_t> image(GUARD_ENDS + rows * stride + GUARD_ENDS, GUARD);
    for (int64_t i = 0; i < rows * cols; i++) image[offset + i / cols * stride + i % cols] = values[i];

    auto* memory = static_cast<uint32_t*>(backend.allocate(image.size() * sizeof(uint32_t)));
    const int64_t size = int64_t(image.size());
    backend.upload({memory, 1, size, size, dtype}, image.data());
    const Tensor tensor{memory + offset, rows, cols, stride, dtype};
    buffers_.push_back({name, role, tensor, offset, std::move(image)});
    return tensor;
}

Operand& OpRun::add(const std::string& name, Role role, const reference::Matrix<float>& values) {
    Operand& operand = operands_.emplace_back();
    operand.tensor = place(name, role, DType::f32, values.rows, values.cols, bits_of(values), placement_);
    operand.twin = {values.rows, values.cols};
    operand.twin.data.assign(values.data.begin(), values.data.end());
    buffers_.back().operand = &operand;
    return operand;
}

Operand& OpRun::input(const std::string& name, const reference::Matrix<float>& values) {
    return add(name, Role::input, values);
}

Operand& OpRun::changed(const std::string& name, const reference::Matrix<float>& values) {
    return add(name, Role::output, values);
}

Operand& OpRun::written(const std::string& name, int64_t rows, int64_t cols) {
    return add(name, Role::output, {rows, cols, std::bit_cast<float>(POISON)});
}

Operand& OpRun::written_where_defined(const std::string& name, int64_t rows, int64_t cols) {
    return add(name, Role::partly_defined_output, {rows, cols, std::bit_cast<float>(POISON)});
}

Integers& OpRun::input(const std::string& name, const std::vector<int32_t>& values) {
    Integers& integers = integers_.emplace_back();
    integers.tensor =
        place(name, Role::input, DType::i32, 1, int64_t(values.size()), {values.begin(), values.end()}, placement_);
    integers.twin = values;
    buffers_.back().integers = &integers;
    return integers;
}

Integers& OpRun::table(const std::string& name, const std::vector<int32_t>& values, int64_t rows) {
    Integers& integers = integers_.emplace_back();
    integers.tensor = place(name, Role::input, DType::i32, rows, int64_t(values.size()) / rows,
                            {values.begin(), values.end()}, Placement::tight);
    integers.twin = values;
    buffers_.back().integers = &integers;
    return integers;
}

Integers& OpRun::written_integers(const std::string& name, int64_t count) {
    Integers& integers = integers_.emplace_back();
    integers.tensor = place(name, Role::output, DType::i32, 1, count, std::vector<uint32_t>(count, POISON), placement_);
    integers.twin.assign(count, int32_t(POISON));
    buffers_.back().integers = &integers;
    return integers;
}

Operand& OpRun::absent() { return operands_.emplace_back(); }

std::vector<uint32_t> OpRun::download(const Buffer& buffer) {
    std::vector<uint32_t> image(buffer.image.size());
    const int64_t size = int64_t(image.size());
    backend.download(image.data(),
                     {static_cast<uint32_t*>(buffer.tensor.data) - buffer.offset, 1, size, size, buffer.tensor.dtype});
    return image;
}

std::vector<uint32_t> OpRun::bits(Tensor tensor) {
    std::vector<uint32_t> values;
    for (const Buffer& buffer : buffers_) {
        if (buffer.tensor.data != tensor.data) continue;
        const std::vector<uint32_t> image = download(buffer);
        for (int64_t row = 0; row < tensor.rows; row++) {
            const auto begin = image.begin() + buffer.offset + row * tensor.stride;
            values.insert(values.end(), begin, begin + tensor.cols);
        }
    }
    return values;
}

std::vector<uint32_t> OpRun::output_bits() {
    std::vector<uint32_t> all;
    for (const Buffer& buffer : buffers_) {
        if (buffer.role == Role::input) continue;
        const std::vector<uint32_t> values = bits(buffer.tensor);
        all.insert(all.end(), values.begin(), values.end());
    }
    return all;
}

OperandResult OpRun::result(const Buffer& buffer) {
    const Tensor& tensor = buffer.tensor;
    const std::vector<uint32_t> image = download(buffer);
    double error = 0, norm = 0;
    for (int64_t at = 0; at < int64_t(image.size()); at++) {
        const int64_t element = at - buffer.offset, stride = std::max<int64_t>(tensor.stride, 1);
        const int64_t row = element / stride, col = element % stride, index = row * tensor.cols + col;
        const bool inside = element >= 0 && row < tensor.rows && col < tensor.cols;
        const auto fault = [&](const std::string& what) {
            return OperandResult{buffer.name, 0,
                                 what + " at row " + std::to_string(row) + " column " + std::to_string(col)};
        };
        if (!inside || buffer.role == Role::input) {
            if (image[at] == buffer.image[at]) continue;
            return fault(inside ? "changed the input" : "wrote outside the tensor");
        }
        if (buffer.integers) {
            const int32_t actual = int32_t(image[at]), expected = buffer.integers->twin[index];
            if (actual == expected) continue;
            return fault("got " + std::to_string(actual) + ", expected " + std::to_string(expected));
        }
        const double actual = std::bit_cast<float>(image[at]), expected = buffer.operand->twin.data[index];
        if (buffer.role == Role::partly_defined_output && std::isnan(expected)) continue;
        if (image[at] == POISON) return fault("left unwritten");
        if (!std::isfinite(actual) || !std::isfinite(expected)) {
            return fault("got " + std::to_string(actual) + ", expected " + std::to_string(expected));
        }
        error += (actual - expected) * (actual - expected);
        norm += expected * expected;
    }
    const double relative = norm > 0 ? std::sqrt(error / norm) : error > 0 ? INFINITY : 0;
    return {buffer.name, relative, ""};
}

void OpRun::share_twins(const OpRun& other) {
    for (size_t i = 0; i < operands_.size(); i++) operands_[i].twin = other.operands_[i].twin;
    for (size_t i = 0; i < integers_.size(); i++) integers_[i].twin = other.integers_[i].twin;
}

std::vector<OperandResult> OpRun::results() {
    std::vector<OperandResult> all;
    for (const Buffer& buffer : buffers_) all.push_back(result(buffer));
    return all;
}

}  // namespace dllm::test
