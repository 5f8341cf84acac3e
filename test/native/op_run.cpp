// Guarded buffers around every operand, and what they show after the op.
#include "op_run.h"

#include "half.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace dllm::test {
namespace {

// Quiet NaNs: reading a guard or an unwritten element shows up as NaN in the result, writing a guard as a change.
struct Patterns {
    uint32_t guard, poison;
};

Patterns patterns(DType dtype) {
    return dtype == DType::bf16 ? Patterns{0x7fde, 0x7fbe | 0x40} : Patterns{0x7fc0dead, 0x7fc0beef};
}

constexpr int64_t GUARD_ENDS = 64;  // elements before and after the rows; keeps a tight tensor 64-byte aligned
constexpr int64_t GUARD_LEFT = 3, GUARD_RIGHT = 5;

uint32_t bits_of(float value, DType dtype) {
    return dtype == DType::bf16 ? narrow_bf16(value) : std::bit_cast<uint32_t>(value);
}

float value_of(uint32_t bits, DType dtype) {
    return dtype == DType::bf16 ? widen_bf16(uint16_t(bits)) : std::bit_cast<float>(bits);
}

}  // namespace

OpRun::~OpRun() {
    for (const Buffer& buffer : buffers_) backend.release(whole(buffer).data);
}

// The tensor's buffer, guards included, as one row.
Tensor OpRun::whole(const Buffer& buffer) const {
    const int64_t size = int64_t(buffer.image.size());
    auto* data = static_cast<std::byte*>(buffer.tensor.data) - buffer.offset * dtype_bytes(buffer.tensor.dtype);
    return {data, 1, size, size, buffer.tensor.dtype};
}

Tensor OpRun::place(const std::string& name, Role role, DType dtype, int64_t rows, int64_t cols,
                    const std::vector<uint32_t>& values, Placement placement) {
    const bool strided = placement == Placement::strided;
    const int64_t left = strided ? GUARD_LEFT : 0, stride = cols + left + (strided ? GUARD_RIGHT : 0);
    const int64_t offset = GUARD_ENDS + left;
    std::vector<uint32_t> image(GUARD_ENDS + rows * stride + GUARD_ENDS, patterns(dtype).guard);
    for (int64_t i = 0; i < rows * cols; i++) image[offset + i / cols * stride + i % cols] = values[i];

    const int64_t bytes = dtype_bytes(dtype);
    auto* memory = static_cast<std::byte*>(backend.allocate(image.size() * size_t(bytes)));
    const Tensor tensor{memory + offset * bytes, rows, cols, stride, dtype};
    buffers_.push_back({name, role, tensor, offset, std::move(image)});
    const Buffer& buffer = buffers_.back();
    if (dtype == DType::bf16) {
        backend.upload(whole(buffer), std::vector<uint16_t>(buffer.image.begin(), buffer.image.end()).data());
    } else {
        backend.upload(whole(buffer), buffer.image.data());
    }
    return tensor;
}

Operand& OpRun::add(const std::string& name, Role role, DType dtype, const reference::Matrix<float>& values) {
    std::vector<uint32_t> bits;
    for (const float value : values.data)
        bits.push_back(role != Role::input && std::isnan(value) ? patterns(dtype).poison : bits_of(value, dtype));
    Operand& operand = operands_.emplace_back();
    operand.tensor = place(name, role, dtype, values.rows, values.cols, bits, placement_);
    operand.twin = {values.rows, values.cols};
    for (size_t i = 0; i < bits.size(); i++) operand.twin.data[i] = value_of(bits[i], dtype);
    buffers_.back().operand = &operand;
    return operand;
}

Operand& OpRun::input(const std::string& name, const reference::Matrix<float>& values) {
    return add(name, Role::input, backend.compute_dtype(), values);
}

Operand& OpRun::changed(const std::string& name, const reference::Matrix<float>& values) {
    return add(name, Role::output, backend.compute_dtype(), values);
}

Operand& OpRun::written(const std::string& name, int64_t rows, int64_t cols) {
    return add(name, Role::output, backend.compute_dtype(), {rows, cols, NAN});
}

Operand& OpRun::working(const std::string& name, int64_t rows, int64_t cols) {
    return add(name, Role::partly_defined_output, backend.compute_dtype(), {rows, cols, NAN});
}

Operand& OpRun::input_f32(const std::string& name, const reference::Matrix<float>& values) {
    return add(name, Role::input, DType::f32, values);
}

Operand& OpRun::changed_f32(const std::string& name, const reference::Matrix<float>& values) {
    return add(name, Role::output, DType::f32, values);
}

Operand& OpRun::written_f32(const std::string& name, int64_t rows, int64_t cols) {
    return add(name, Role::output, DType::f32, {rows, cols, NAN});
}

Operand& OpRun::written_where_defined(const std::string& name, int64_t rows, int64_t cols) {
    return add(name, Role::partly_defined_output, DType::f32, {rows, cols, NAN});
}

Integers& OpRun::add(const std::string& name, Role role, const std::vector<int32_t>& values) {
    Integers& integers = integers_.emplace_back();
    integers.tensor =
        place(name, role, DType::i32, 1, int64_t(values.size()), {values.begin(), values.end()}, placement_);
    integers.twin = values;
    buffers_.back().integers = &integers;
    return integers;
}

Integers& OpRun::input(const std::string& name, const std::vector<int32_t>& values) {
    return add(name, Role::input, values);
}

Integers& OpRun::changed(const std::string& name, const std::vector<int32_t>& values) {
    return add(name, Role::output, values);
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
    return add(name, Role::output, std::vector<int32_t>(count, int32_t(patterns(DType::i32).poison)));
}

reference::Matrix<double> OpRun::factor(const Operand& operand) const {
    reference::Matrix<double> values = operand.twin;
    if (!rounds_factors) return values;
    for (double& value : values.data) value = widen_bf16(narrow_bf16(float(value)));
    return values;
}

Operand& OpRun::absent() { return operands_.emplace_back(); }

std::vector<uint32_t> OpRun::download(const Buffer& buffer) {
    std::vector<uint32_t> image(buffer.image.size());
    if (buffer.tensor.dtype == DType::bf16) {
        std::vector<uint16_t> halves(image.size());
        backend.download(halves.data(), whole(buffer));
        image.assign(halves.begin(), halves.end());
    } else {
        backend.download(image.data(), whole(buffer));
    }
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
            return OperandResult{buffer.name, tensor.dtype, 0,
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
        const double actual = value_of(image[at], tensor.dtype), expected = buffer.operand->twin.data[index];
        if (buffer.role == Role::partly_defined_output && std::isnan(expected)) continue;
        if (image[at] == patterns(tensor.dtype).poison) return fault("left unwritten");
        if (!std::isfinite(actual) || !std::isfinite(expected)) {
            return fault("got " + std::to_string(actual) + ", expected " + std::to_string(expected));
        }
        error += (actual - expected) * (actual - expected);
        norm += expected * expected;
    }
    const double relative = norm > 0 ? std::sqrt(error / norm) : error > 0 ? INFINITY : 0;
    return {buffer.name, tensor.dtype, relative, ""};
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
