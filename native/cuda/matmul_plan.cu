// MatmulPlan: see matmul_plan.h.
#include "matmul_plan.h"

#include <algorithm>

namespace dllm::cuda {
namespace {

cudaDataType_t data_type(DType dtype) { return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

// The largest power of two, up to MAX_ALIGNMENT, that divides an address.
uint32_t alignment(const void* data) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(data);
    return address == 0 ? MAX_ALIGNMENT : uint32_t(std::min<uintptr_t>(address & (~address + 1), MAX_ALIGNMENT));
}

cublasLtEpilogue_t epilogue_of(const MatmulKey& key) {
    switch (key.epilogue) {
        case Epilogue::none: break;
        case Epilogue::gelu: return key.has_bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
        case Epilogue::gelu_gradient: return CUBLASLT_EPILOGUE_DGELU;
        case Epilogue::sums_of_a: return CUBLASLT_EPILOGUE_BGRADB;  // a is on the right
        case Epilogue::sums_of_b: return CUBLASLT_EPILOGUE_BGRADA;
    }
    return key.has_bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

// What cuBLASLt calls the bias, whether it is read or written.
const Tensor& vector_of(const MatmulProduct& product) { return product.sums ? product.sums : product.bias; }

bool has_vector(const MatmulKey& key) {
    return key.has_bias || key.epilogue == Epilogue::sums_of_a || key.epilogue == Epilogue::sums_of_b;
}

bool has_pre(const MatmulKey& key) { return key.epilogue == Epilogue::gelu || key.epilogue == Epilogue::gelu_gradient; }

template <class Value>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, const Value& value) {
    check(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
}

// What the heuristic may choose from.
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
    const auto splits = attribute_of<int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM);
    const auto reduction = attribute_of<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME);
    return (splits == 0 || splits == 1) && reduction == CUBLASLT_REDUCTION_SCHEME_NONE;
}

AlgorithmId id_of(const cublasLtMatmulAlgo_t& algorithm) {
    return {attribute_of<int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_ID),
            attribute_of<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID),
            attribute_of<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_STAGES_ID),
            attribute_of<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING),
            attribute_of<uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION),
            attribute_of<uint16_t>(algorithm, CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID),
            attribute_of<uint16_t>(algorithm, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID)};
}

}  // namespace

MatmulKey key_of(const MatmulProduct& product) {
    const auto& [out, a, b, addend, bias, epilogue, pre, sums] = product;
    const Tensor& added = addend ? addend : out;
    MatmulKey key{};
    key.m = out.cols, key.n = out.rows, key.k = a.transposed ? a.matrix.rows : a.matrix.cols;
    // A row-major matrix is the column-major transpose, so neither side is transposed where the row-major one is not.
    key.left_transposed = b.transposed, key.right_transposed = a.transposed;
    // One row or column may have any stride, also one that cuBLASLt would refuse.
    const auto ld = [](const Tensor& x) { return std::max(x.stride, x.cols); };
    key.ld_left = ld(b.matrix), key.ld_right = ld(a.matrix), key.ld_addend = ld(added), key.ld_out = ld(out);
    key.ld_pre = pre.rows > 1 ? pre.stride : pre.cols;
    key.adds = bool(addend), key.has_bias = bool(bias), key.epilogue = epilogue;
    key.input = a.matrix.dtype, key.output = out.dtype, key.bias = bias.dtype;
    key.left_alignment = alignment(b.matrix.data), key.right_alignment = alignment(a.matrix.data);
    key.addend_alignment = alignment(added.data), key.out_alignment = alignment(out.data);
    key.vector_alignment = alignment(vector_of(product).data), key.pre_alignment = alignment(pre.data);
    return key;
}

std::string describe(const MatmulKey& key) {
    return "a product of " + std::to_string(key.n) + " x " + std::to_string(key.k) + " x " + std::to_string(key.m);
}

MatmulPlan::MatmulPlan(const MatmulKey& key) : key_(key) {
    const auto layout = [](cublasLtMatrixLayout_t& to, DType dtype, int64_t rows, int64_t cols, int64_t ld) {
        check(cublasLtMatrixLayoutCreate(&to, data_type(dtype), uint64_t(rows), uint64_t(cols), ld),
              "cublasLtMatrixLayoutCreate");
    };
    const int64_t m = key.m, n = key.n, k = key.k;
    try {
        check(cublasLtMatmulDescCreate(&operation_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
        set(operation_, CUBLASLT_MATMUL_DESC_TRANSA, int32_t(key.left_transposed ? CUBLAS_OP_T : CUBLAS_OP_N));
        set(operation_, CUBLASLT_MATMUL_DESC_TRANSB, int32_t(key.right_transposed ? CUBLAS_OP_T : CUBLAS_OP_N));
        set(operation_, CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t(epilogue_of(key)));
        if (key.has_bias) set(operation_, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, int32_t(data_type(key.bias)));
        if (has_pre(key)) set(operation_, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, key.ld_pre);
        layout(left_, key.input, key.left_transposed ? k : m, key.left_transposed ? m : k, key.ld_left);
        layout(right_, key.input, key.right_transposed ? n : k, key.right_transposed ? k : n, key.ld_right);
        layout(addend_, key.output, m, n, key.ld_addend);
        layout(out_, key.output, m, n, key.ld_out);
    } catch (...) {
        close();
        throw;
    }
}

MatmulPlan::~MatmulPlan() { close(); }

void MatmulPlan::close() {
    for (const cublasLtMatrixLayout_t layout : {left_, right_, addend_, out_})
        if (layout != nullptr) cublasLtMatrixLayoutDestroy(layout);
    if (operation_ != nullptr) cublasLtMatmulDescDestroy(operation_);
}

// cuBLASLt takes the alignments of these from the pointers themselves, which it does not follow before a product runs.
void MatmulPlan::set_vectors(const Context& context) const {
    const auto aligned = [&](uint32_t alignment) -> void* {
        return static_cast<std::byte*>(context.workspace()) + alignment;
    };
    if (has_vector(key_)) set(operation_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, aligned(key_.vector_alignment));
    if (has_pre(key_)) set(operation_, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aligned(key_.pre_alignment));
}

bool MatmulPlan::accepts(const Context& context, const Algorithm& algorithm) const {
    set_vectors(context);
    cublasLtMatmulHeuristicResult_t result{};
    return cublasLtMatmulAlgoCheck(context.cublas(), operation_, left_, right_, addend_, out_, &algorithm.handle,
                                   &result) == CUBLAS_STATUS_SUCCESS &&
           result.workspaceSize <= Context::WORKSPACE_BYTES;
}

std::vector<Algorithm> MatmulPlan::candidates(const Context& context) const {
    Preference preference;
    preference.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t(Context::WORKSPACE_BYTES));
    preference.set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_NONE));
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key_.left_alignment);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key_.right_alignment);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key_.addend_alignment);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key_.out_alignment);

    set_vectors(context);

    constexpr int MOST = 16;
    cublasLtMatmulHeuristicResult_t results[MOST];
    int found = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(context.cublas(), operation_, left_, right_, addend_,
                                                                 out_, preference, MOST, results, &found);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) return {};
    check(status, "cublasLtMatmulAlgoGetHeuristic");
    std::vector<Algorithm> all;
    for (int i = 0; i < found; i++) {
        if (results[i].state != CUBLAS_STATUS_SUCCESS || !sums_in_one_order(results[i].algo)) continue;
        const AlgorithmId id = id_of(results[i].algo);
        if (std::none_of(all.begin(), all.end(), [&](const Algorithm& other) { return other.id == id; }))
            all.push_back({id, results[i].algo});
    }
    return all;
}

cublasStatus_t MatmulPlan::enqueue(const Context& context, const MatmulProduct& product,
                                   const Algorithm& algorithm) const {
    const Tensor &vector = vector_of(product), &out = product.out;
    if (vector) set(operation_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector.data);
    if (product.pre) set(operation_, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, product.pre.data);
    const float one = 1, beta = product.addend ? 1 : 0;
    const void* added = product.addend ? product.addend.data : out.data;
    return cublasLtMatmul(context.cublas(), operation_, &one, product.b.matrix.data, left_, product.a.matrix.data,
                          right_, &beta, added, addend_, out.data, out_, &algorithm.handle, context.workspace(),
                          Context::WORKSPACE_BYTES, context.stream());
}

}  // namespace dllm::cuda
