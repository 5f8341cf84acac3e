// One run of an op on a backend and on its double twin, in buffers that show everything the op did to them.
#pragma once

#include "backend.h"
#include "random_matrix.h"
#include "reference/matrix.h"

#include <deque>
#include <string>
#include <vector>

namespace dllm::test {

// tight: contiguous and 64-byte aligned. strided: a slice with guard columns on both sides, misaligned.
enum class Placement { tight, strided };

struct Operand {
    Tensor tensor;
    reference::Matrix<double> twin;
};

struct Integers {
    Tensor tensor;
    std::vector<int32_t> twin;
};

// What became of one operand. An input has no error; a fault says in words what must never happen.
struct OperandResult {
    std::string name;
    DType dtype;
    double error = 0;  // relative Frobenius error against the twin
    std::string fault;
};

class OpRun {
public:
    OpRun(Backend& target, Placement placement, bool with_twin)
        : backend(target), random(1), placement_(placement), with_twin_(with_twin) {}
    ~OpRun();
    OpRun(const OpRun&) = delete;
    OpRun& operator=(const OpRun&) = delete;

    Backend& backend;
    Random random;
    // For a backend that rounds the operands of matrix products to bfloat16: so does the twin.
    bool rounds_factors = false;

    // For ops that say "contiguous": operands made from here on are tight.
    void contiguous() { placement_ = Placement::tight; }

    // Operands of the backend's compute_dtype(); bfloat16 ones hold rounded values, on both sides.
    Operand& input(const std::string& name, const reference::Matrix<float>& values);
    // In place or accumulated: starts with these values on both sides.
    Operand& changed(const std::string& name, const reference::Matrix<float>& values);
    // Written whole: starts as NaN.
    Operand& written(const std::string& name, int64_t rows, int64_t cols);
    // Memory that the op may use: whatever is in it afterwards will do.
    Operand& working(const std::string& name, int64_t rows, int64_t cols);
    // Operands that are float32 on every backend.
    Operand& input_f32(const std::string& name, const reference::Matrix<float>& values);
    Operand& changed_f32(const std::string& name, const reference::Matrix<float>& values);
    Operand& written_f32(const std::string& name, int64_t rows, int64_t cols);
    // As written_f32, but where the twin gives NaN any value will do.
    Operand& written_where_defined(const std::string& name, int64_t rows, int64_t cols);
    Integers& input(const std::string& name, const std::vector<int32_t>& values);
    // Always contiguous.
    Integers& table(const std::string& name, const std::vector<int32_t>& values, int64_t rows);
    // In place: starts with these values on both sides.
    Integers& changed(const std::string& name, const std::vector<int32_t>& values);
    Integers& written_integers(const std::string& name, int64_t count);
    // An absent tensor.
    Operand& absent();

    // An operand of a matrix product, as the twin multiplies it.
    reference::Matrix<double> factor(const Operand& operand) const;

    // Runs the twin, unless only the backend's bits are wanted.
    template <typename Function>
    void twin(Function&& function) {
        if (with_twin_) function();
    }

    // Takes over the answers of the same case's run in other buffers.
    void share_twins(const OpRun& other);
    // Compares every operand, after the op.
    std::vector<OperandResult> results();
    // The bits of everything the op changed or wrote, an element each.
    std::vector<uint32_t> output_bits();
    std::vector<uint32_t> bits(Tensor tensor);

private:
    enum class Role { input, output, partly_defined_output };

    struct Buffer {
        std::string name;
        Role role;
        Tensor tensor;
        int64_t offset;               // of the tensor's first element in the buffer
        std::vector<uint32_t> image;  // the elements' bits that were uploaded, guards included
        const Operand* operand = nullptr;
        const Integers* integers = nullptr;
    };

    Integers& add(const std::string& name, Role role, const std::vector<int32_t>& values);
    Tensor place(const std::string& name, Role role, DType dtype, int64_t rows, int64_t cols,
                 const std::vector<uint32_t>& values, Placement placement);
    Operand& add(const std::string& name, Role role, DType dtype, const reference::Matrix<float>& values);
    Tensor whole(const Buffer& buffer) const;
    std::vector<uint32_t> download(const Buffer& buffer);
    OperandResult result(const Buffer& buffer);

    Placement placement_;
    bool with_twin_;
    std::deque<Buffer> buffers_;
    std::deque<Operand> operands_;
    std::deque<Integers> integers_;
};

}  // namespace dllm::test
