// Finite differences through the double twin of attention: every kind of mask, lengths, offsets and grouped queries.
#include "gradient_check.h"
#include "reference/attention.h"

namespace dllm {
namespace {

using namespace reference;
using namespace test;

// Also checks that a row with no open key gives zeros.
void check_attention(const std::string& name, const AttentionSize& size, const Matrix<uint8_t>& open) {
    Random random(10);
    const int64_t queries = size.batch * size.query_length, keys = size.batch * size.key_length;
    const int64_t width = size.heads * size.head_width, kv_width = size.kv_heads * size.head_width;
    DoubleMatrix q = random.normal<double>(queries, width, 1.5), k = random.normal<double>(keys, kv_width, 1.5);
    DoubleMatrix v = random.normal<double>(keys, kv_width), out(queries, width, NAN);
    DoubleMatrix log_sum_exp(size.batch * size.heads, size.query_length);
    const DoubleMatrix dout = random.normal<double>(queries, width);
    const auto loss = [&] {
        attention_forward(out, log_sum_exp, q, k, v, open, size);
        return dot(out, dout);
    };
    loss();
    DoubleMatrix dq(queries, width, NAN), dk(keys, kv_width, NAN), dv(keys, kv_width, NAN);
    attention_backward(dq, dk, dv, dout, q, k, v, out, log_sum_exp, open, size);
    GradientCheck check(name, loss);
    check("q", q, dq);
    check("k", k, dk);
    check("v", v, dv);
    for (int64_t row = 0; row < queries; row++) {
        bool any_open = false;
        for (int64_t j = 0; j < size.key_length; j++) any_open = any_open || open(row, j) == 1;
        for (int64_t c = 0; !any_open && c < width; c++) CHECK(out(row, c) == 0 && dq(row, c) == 0);
    }
}

std::vector<uint8_t> random_bytes(int64_t count, double open_probability) {
    Random random(11);
    std::vector<uint8_t> bytes(count);
    for (uint8_t& byte : bytes) byte = random.real(0, 1) < open_probability;
    return bytes;
}

AttentionSpec spec_of(AttentionKind kind, int64_t block_length = 0) {
    AttentionSpec spec;
    spec.kind = kind;
    spec.block_length = block_length;
    return spec;
}

TEST(attention_gradient_shapes) {
    // batch, queries, keys, offset, heads, kv_heads, head width
    for (const AttentionSize& size :
         {AttentionSize{1, 1, 1, 0, 1, 1, 1}, AttentionSize{2, 3, 3, 0, 2, 2, 5}, AttentionSize{1, 65, 65, 0, 4, 2, 8},
          AttentionSize{1, 7, 7, 0, 6, 1, 33}, AttentionSize{1, 9, 9, 0, 1, 1, 128},
          AttentionSize{2, 5, 70, 65, 2, 1, 8}, AttentionSize{1, 130, 130, 0, 1, 1, 3}}) {
        for (const AttentionKind kind : {AttentionKind::full, AttentionKind::causal}) {
            const std::string name = kind == AttentionKind::full ? "full" : "causal";
            check_attention(name + " T " + std::to_string(size.key_length), size,
                            open_entries(spec_of(kind), size, {}));
        }
    }
}

TEST(attention_gradient_kinds) {
    const AttentionSize size{2, 66, 66, 0, 2, 1, 5};
    AttentionSpec annealed = spec_of(AttentionKind::annealed);
    annealed.open_probability = 0.3;
    annealed.seed = 7;
    annealed.step = 12;
    check_attention("annealed", size, open_entries(annealed, size, {}));
    check_attention("block_causal", size, open_entries(spec_of(AttentionKind::block_causal, 11), size, {}));
    check_attention("block_diffusion", size, open_entries(spec_of(AttentionKind::block_diffusion, 3), size, {}));
    AttentionSpec explicit_mask = spec_of(AttentionKind::explicit_mask);
    explicit_mask.mask = random_bytes(66 * 66, 0.05);  // some rows stay closed
    std::fill_n(explicit_mask.mask.begin() + 5 * 66, 66, uint8_t(0));
    check_attention("explicit T x T", size, open_entries(explicit_mask, size, {}));
    explicit_mask.mask = random_bytes(2 * 66 * 66, 0.05);
    std::fill_n(explicit_mask.mask.begin() + 70 * 66, 66, uint8_t(0));
    check_attention("explicit B x T x T", size, open_entries(explicit_mask, size, {}));
}

TEST(attention_gradient_lengths) {
    const AttentionSize size{3, 67, 67, 0, 2, 2, 5}, continued{3, 4, 67, 63, 2, 2, 5};
    for (const AttentionKind kind : {AttentionKind::full, AttentionKind::causal}) {
        check_attention("lengths", size, open_entries(spec_of(kind), size, {67, 1, 40}));
        check_attention("lengths, offset", continued, open_entries(spec_of(kind), continued, {67, 65, 20}));
    }
}

}  // namespace
}  // namespace dllm
