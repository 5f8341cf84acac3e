// MatmulPlans: see matmul_plans.h.
#include "matmul_plans.h"

#include <algorithm>
#include <string>

namespace dllm::cuda {
namespace {

cudaDataType_t data_type(DType dtype) { return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

// The largest power of two, up to 256, that divides an address.
uint32_t alignment(const void* data) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(data);
    return address == 0 ? 256 : uint32_t(std::min<uintptr_t>(address & (~address + 1), 256));
}

}  // namespace

struct MatmulPlans::Plan {
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t left = nullptr, right = nullptr, addend = nullptr, out = nullptr;
    cublasLtMatmulAlgo_t algorithm{};

    Plan() = default;
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;
    ~Plan() {
        for (const cublasLtMatrixLayout_t layout : {left, right, addend, out})
            if (layout != nullptr) cublasLtMatrixLayoutDestroy(layout);
        if (operation != nullptr) cublasLtMatmulDescDestroy(operation);
    }

    template <class Value>
    void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
        check(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value),
              "cublasLtMatmulDescSetAttribute");
    }
};

namespace {

// What the heuristic may choose from: what fits the workspace, without split-K or a reduction over parts.
class Preference {
public:
    Preference() { check(cublasLtMatmulPreferenceCreate(&handle_), "cublasLtMatmulPreferenceCreate"); }
    ~Preference() { cublasLtMatmulPreferenceDestroy(handle_); }
    Preference(const Preference&) = delete;
    Preference& operator=(const Preference&) = delete;

    operator cublasLtMatmulPreference_t() const { return handle_; }

    template <class Value>
    void set(cublasLtMatmulPreferenceAttributes_t attribute, const Value& value) {
        check(cublasLtMatmulPreferenceSetAttribute(handle_, attribute, &value, sizeof value),
              "cublasLtMatmulPreferenceSetAttribute");
    }

private:
    cublasLtMatmulPreference_t handle_ = nullptr;
};

template <class Value>
Value attribute_of(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulAlgoConfigAttributes_t attribute) {
    Value value{};
    size_t written = 0;
    check(cublasLtMatmulAlgoConfigGetAttribute(&algorithm, attribute, &value, sizeof value, &written),
          "cublasLtMatmulAlgoConfigGetAttribute");
    return value;
}

bool sums_in_one_order(const cublasLtMatmulAlgo_t& algorithm) {
    return attribute_of<int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM) <= 1 &&
           attribute_of<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME) == CUBLASLT_REDUCTION_SCHEME_NONE;
}

}  // namespace

MatmulPlans::MatmulPlans(Context& context) : context_(context) {}
MatmulPlans::~MatmulPlans() = default;

const MatmulPlans::Plan& MatmulPlans::plan(const Key& key) {
    std::unique_ptr<Plan>& kept = plans_[key];
    if (kept) return *kept;
    auto plan = std::make_unique<Plan>();
    check(cublasLtMatmulDescCreate(&plan->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
    plan->set(CUBLASLT_MATMUL_DESC_TRANSA, key.left_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    plan->set(CUBLASLT_MATMUL_DESC_TRANSB, key.right_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (key.has_bias) {
        plan->set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
        plan->set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, data_type(key.bias));
    }

    const auto layout = [](cublasLtMatrixLayout_t& to, DType dtype, int64_t rows, int64_t cols, int64_t ld) {
        check(cublasLtMatrixLayoutCreate(&to, data_type(dtype), uint64_t(rows), uint64_t(cols), ld),
              "cublasLtMatrixLayoutCreate");
    };
    const auto [m, n, k] = std::tuple(key.m, key.n, key.k);
    layout(plan->left, key.input, key.left_transposed ? k : m, key.left_transposed ? m : k, key.ld_left);
    layout(plan->right, key.input, key.right_transposed ? n : k, key.right_transposed ? k : n, key.ld_right);
    layout(plan->addend, key.output, m, n, key.ld_addend);
    layout(plan->out, key.output, m, n, key.ld_out);

    Preference preference;
    preference.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, Context::WORKSPACE_BYTES);
    preference.set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_NONE));
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.left_alignment);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.right_alignment);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.addend_alignment);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.out_alignment);

    constexpr int CANDIDATES = 16;
    cublasLtMatmulHeuristicResult_t candidates[CANDIDATES];
    int found = 0;
    check(cublasLtMatmulAlgoGetHeuristic(context_.cublas(), plan->operation, plan->left, plan->right, plan->addend,
                                         plan->out, preference, CANDIDATES, candidates, &found),
          "cublasLtMatmulAlgoGetHeuristic");
    const auto end = candidates + found;
    const auto chosen = std::find_if(candidates, end, [](const cublasLtMatmulHeuristicResult_t& candidate) {
        return candidate.state == CUBLAS_STATUS_SUCCESS && sums_in_one_order(candidate.algo);
    });
    if (chosen == end) {
        fail(ErrorCode::device, "cuBLASLt has no algorithm without split-K for a product of " + std::to_string(m) +
                                    " x " + std::to_string(k) + " x " + std::to_string(n));
    }
    plan->algorithm = chosen->algo;
    kept = std::move(plan);
    return *kept;
}

void MatmulPlans::run(Tensor out, MatmulOperand a, MatmulOperand b, Tensor addend, Tensor bias) {
    const int64_t depth = a.transposed ? a.matrix.rows : a.matrix.cols;
    const Tensor& added = addend ? addend : out;
    const cudaStream_t stream = context_.stream();
    Key key{};
    key.m = out.cols, key.n = out.rows, key.k = depth;
    // A row-major matrix is the column-major transpose, so neither side is transposed where the row-major one is not.
    key.left_transposed = b.transposed, key.right_transposed = a.transposed;
    // One row or column may have any stride, also one that cuBLASLt would refuse.
    const auto ld = [](const Tensor& x) { return std::max(x.stride, x.cols); };
    key.ld_left = ld(b.matrix), key.ld_right = ld(a.matrix), key.ld_addend = ld(added), key.ld_out = ld(out);
    key.adds = bool(addend), key.has_bias = bool(bias);
    key.input = a.matrix.dtype, key.output = out.dtype, key.bias = bias.dtype;
    key.left_alignment = alignment(b.matrix.data), key.right_alignment = alignment(a.matrix.data);
    key.addend_alignment = alignment(added.data), key.out_alignment = alignment(out.data);
    const Plan& chosen = plan(key);
    if (bias) {
        const void* pointer = bias.data;
        check(cublasLtMatmulDescSetAttribute(chosen.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &pointer,
                                             sizeof pointer),
              "cublasLtMatmulDescSetAttribute");
    }
    const float one = 1, beta = addend ? 1 : 0;
    check(cublasLtMatmul(context_.cublas(), chosen.operation, &one, b.matrix.data, chosen.left, a.matrix.data,
                         chosen.right, &beta, added.data, chosen.addend, out.data, chosen.out, &chosen.algorithm,
                         context_.workspace(), Context::WORKSPACE_BYTES, stream),
          "cublasLtMatmul");
}

}  // namespace dllm::cuda
