// cublasLtMatmul: checks what cuBLASLt checks, then runs the product on the stream, or records it.
#include "cublaslt.h"
#include "emulated.h"
#include "memory.h"
#include "stream.h"

#include <string>

namespace dllm::emulated {

namespace {

bool is_aligned(const void* data, size_t alignment) { return reinterpret_cast<uintptr_t>(data) % alignment == 0; }

cublasStatus_t check_pointers(const Problem& p, const Operands& x, const Needs& needs) {
    if (x.a == nullptr || x.b == nullptr || x.d == nullptr || (x.c == nullptr && x.beta != 0.0f)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!is_aligned(x.a, needs.alignment_a) || !is_aligned(x.b, needs.alignment_b) ||
        !is_aligned(x.c, needs.alignment_c) || !is_aligned(x.d, needs.alignment_d))
        return CUBLAS_STATUS_INVALID_VALUE;
    const Operation& o = p.operation;
    if (o.uses_bias() && (o.bias == nullptr || !is_aligned(o.bias, needs.alignment_bias))) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    return o.uses_aux() && (o.aux == nullptr || !is_aligned(o.aux, 16)) ? CUBLAS_STATUS_INVALID_VALUE
                                                                        : CUBLAS_STATUS_SUCCESS;
}

void check_range(const char* name, const void* data, size_t bytes) {
    if (is_device_memory(data, bytes)) return;
    throw Fault(std::string("cublasLtMatmul: ") + name + " reaches " + std::to_string(bytes) +
                " bytes, which are not in one allocation of the device");
}

void check_ranges(const Problem& p, const Operands& x) {
    check_range("A", x.a, p.a.bytes());
    check_range("B", x.b, p.b.bytes());
    if (x.beta != 0.0f) check_range("C", x.c, p.c.bytes());
    check_range("D", x.d, p.d.bytes());
    const Operation& o = p.operation;
    const size_t element = p.d.element_bytes();
    if (o.uses_bias()) check_range("the bias", o.bias, p.bias_length() * element);
    if (o.uses_aux()) {
        check_range("the auxiliary matrix", o.aux, (size_t(o.aux_ld) * (p.N() - 1) + p.M()) * element);
    }
}

cublasStatus_t status_of(cudaError_t error) {
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace

}  // namespace dllm::emulated

using namespace dllm::emulated;

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
    constexpr size_t WORKSPACE_ALIGNMENT = 256;
    const std::lock_guard lock(device().mutex);
    if (!is_live(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (alpha == nullptr || beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    Problem problem;
    if (const auto status = describe_problem(problem, operation, a_layout, b_layout, c_layout, d_layout);
        status != CUBLAS_STATUS_SUCCESS) {
        return status;
    }
    Needs needs;
    if (algorithm != nullptr) {
        if (const auto status = needs_of(*algorithm, problem, needs); status != CUBLAS_STATUS_SUCCESS) return status;
    }
    Operands operands{0, 0, a, b, c, d};
    std::memcpy(&operands.alpha, alpha, sizeof(float));
    std::memcpy(&operands.beta, beta, sizeof(float));
    if (const auto status = check_pointers(problem, operands, needs); status != CUBLAS_STATUS_SUCCESS) return status;
    const int number = algorithm != nullptr ? number_of(*algorithm) : -1;
    if (number >= 0 && device().algorithms[number].is_refused) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!problem.operation.only_multiplies() && device().epilogue_refusal == Refusal::launch)
        return CUBLAS_STATUS_EXECUTION_FAILED;
    if (needs.workspace_bytes > 0) {
        const bool enough = workspace_bytes >= needs.workspace_bytes && workspace != nullptr;
        if (!enough || !is_aligned(workspace, WORKSPACE_ALIGNMENT)) return CUBLAS_STATUS_INVALID_VALUE;
    }
    return status_of(runtime_call([&] {
        return submit(stream, [=] {
            if (!begin_launch()) return;
            check_ranges(problem, operands);
            if (needs.workspace_bytes > 0) {
                check_range("the workspace", workspace, needs.workspace_bytes);
                std::memset(workspace, 0xFF, needs.workspace_bytes);
            }
            multiply(problem, operands, device().algorithms_differ && number > 0 ? number + 1 : 1);
            if (!problem.operation.only_multiplies()) device().delay += device().epilogue_delay;
            if (number < 0) return;
            device().algorithms[number].runs++;
            device().delay += device().algorithms[number].delay;
        });
    }));
}
