// Op cases: queries and keys (norm, rotation), and attention of every kind.
#include "op_cases.h"
#include "reference/attention.h"
#include "reference/query_key.h"

#include <limits>

namespace dllm::test {
namespace {

using reference::AttentionSize;

struct QueryKeySize {
    int64_t rows, heads, kv_heads, head_width;
};

void add_query_key(OpCases& cases, QueryKeySize size, bool normalize, bool rotate) {
    const auto [N, H, G, D] = size;
    const HeadShape shape{H, G, D, normalize, 1e-5f, rotate};
    const std::string name =
        case_name("query_key", {N, H, G, D}) + (normalize ? " norm" : "") + (rotate ? " rotate" : "");
    const auto forward_backward = [=](OpRun& run) {
        constexpr int32_t POSITIONS = 300;
        Operand& qkv = run.changed("qkv", run.random.normal<float>(N, (H + 2 * G) * D, 2));
        Operand& dqkv = run.changed("dqkv", run.random.normal<float>(N, (H + 2 * G) * D));
        Operand& rstd = normalize ? run.written_f32("rstd", N, H + G) : run.absent();
        Integers none;
        Integers& positions = rotate ? run.input("positions", run.random.integers(N, POSITIONS)) : none;
        Operand& table =
            rotate ? run.input_f32("rotary_table", reference::rotary_table<float>(POSITIONS, D, 10000)) : run.absent();
        run.backend.query_key_forward(qkv.tensor, rstd.tensor, positions.tensor, table.tensor, shape);
        run.backend.query_key_backward(dqkv.tensor, qkv.tensor, rstd.tensor, positions.tensor, table.tensor, shape);
        run.twin([&] {
            reference::query_key_forward(qkv.twin, rstd.twin, positions.twin, table.twin, shape);
            reference::query_key_backward(dqkv.twin, qkv.twin, rstd.twin, positions.twin, table.twin, shape);
        });
    };
    // The backward pass takes the rounded queries and keys for what the norm gave.
    add_case(cases, name, 5e-7, forward_backward, (normalize ? 2 : 1) * one_rounding(N * (H + 2 * G) * D));
}

// The bits of a map as 32-bit words, low half first.
std::vector<int32_t> halves(const std::vector<uint64_t>& words) {
    std::vector<int32_t> all;
    for (const uint64_t word : words) {
        all.push_back(int32_t(word));
        all.push_back(int32_t(word >> 32));
    }
    return all;
}

// Rows beyond their sequence's length are NaN: nothing may read them.
reference::Matrix<float> sequence_rows(OpRun& run, const std::vector<int32_t>& lengths, int64_t batch, int64_t length,
                                       int64_t offset, int64_t cols, double scale) {
    reference::Matrix<float> rows = run.random.normal<float>(batch * length, cols, scale);
    for (int64_t row = 0; row < rows.rows && !lengths.empty(); row++) {
        if (offset + row % length < lengths[row / length]) continue;
        for (int64_t c = 0; c < cols; c++) rows(row, c) = std::numeric_limits<float>::quiet_NaN();
    }
    return rows;
}

// In bfloat16 the weights, and then their gradients, are rounded between two products, and results once more; the
// backward pass also starts from an `out` that was rounded.
constexpr double TWO_ROUNDINGS = 4e-3;

void add_attention(OpCases& cases, const std::string& kind, const AttentionSpec& spec, AttentionSize size,
                   const std::vector<int32_t>& lengths = {}, double scale = 1, double tolerance = 2e-6,
                   double bfloat16_tolerance = TWO_ROUNDINGS) {
    const auto [B, Tq, Tk, offset, H, G, D] = size;
    const std::string name = case_name("attention " + kind, {B, Tq, Tk, H, G, D}) + (lengths.empty() ? "" : " lengths");
    const auto body = [=, B = B, Tq = Tq, Tk = Tk, offset = offset, H = H, G = G, D = D](OpRun& run) {
        const TileMap map = make_tile_map(spec, B, Tq, Tk, offset);
        Integers none;
        Integers& tiles = run.table("tiles", map.tiles, map.masks * map.query_tiles);
        Integers& bits =
            map.bits.empty() ? none : run.table("bits", halves(map.bits), int64_t(map.bits.size()) / TileMap::TILE);
        Integers& length_row = lengths.empty() ? none : run.input("lengths", lengths);
        Operand& q = run.input("q", sequence_rows(run, lengths, B, Tq, offset, H * D, scale));
        Operand& k = run.input("k", sequence_rows(run, lengths, B, Tk, 0, G * D, scale));
        Operand& v = run.input("v", sequence_rows(run, lengths, B, Tk, 0, G * D, 1));
        Operand& dout = run.input("dout", sequence_rows(run, lengths, B, Tq, offset, H * D, 1));
        Operand& out = run.written("out", B * Tq, H * D);
        Operand& dq = run.written("dq", B * Tq, H * D);
        Operand &dk = run.written("dk", B * Tk, G * D), &dv = run.written("dv", B * Tk, G * D);
        run.contiguous();  // log_sum_exp only passes from forward to backward: backends may ask for it unsliced
        Operand& log_sum_exp = run.written_where_defined("log_sum_exp", B * H, Tq);
        const AttentionShape shape{B, Tq, Tk, offset, H, G, D, map.masks, tiles.tensor, bits.tensor, length_row.tensor};
        run.backend.attention_forward(out.tensor, log_sum_exp.tensor, q.tensor, k.tensor, v.tensor, shape);
        run.backend.attention_backward(dq.tensor, dk.tensor, dv.tensor, dout.tensor, q.tensor, k.tensor, v.tensor,
                                       out.tensor, log_sum_exp.tensor, shape);
        run.twin([&] {
            const auto open = reference::open_entries(spec, size, lengths);
            reference::attention_forward(out.twin, log_sum_exp.twin, q.twin, k.twin, v.twin, open, size);
            reference::attention_backward(dq.twin, dk.twin, dv.twin, dout.twin, q.twin, k.twin, v.twin, out.twin,
                                          log_sum_exp.twin, open, size);
        });
    };
    add_case(cases, name, tolerance, body, bfloat16_tolerance);
}

AttentionSpec spec_of(AttentionKind kind, int64_t block_length = 0) {
    AttentionSpec spec;
    spec.kind = kind;
    spec.block_length = block_length;
    return spec;
}

// Sparse enough that some tiles are closed; query rows 5 and 67 of each mask attend to nothing.
AttentionSpec sparse_mask(int64_t masks, int64_t length) {
    AttentionSpec spec = spec_of(AttentionKind::explicit_mask);
    Random random(31);
    for (int64_t i = 0; i < masks * length * length; i++) {
        const int64_t query = i / length % length, key = i % length;
        const bool closed = query == 5 || query == 67 || (query < 64 && key >= 128) || (query >= 128 && key < 64);
        spec.mask.push_back(!closed && random.bits() % 8 == 0);
    }
    return spec;
}

}  // namespace

void add_attention_cases(OpCases& cases) {
    for (const QueryKeySize size :
         {QueryKeySize{1, 1, 1, 2}, QueryKeySize{3, 4, 2, 6}, QueryKeySize{65, 3, 3, 32}, QueryKeySize{5, 6, 1, 66},
          QueryKeySize{130, 2, 2, 128}, QueryKeySize{300, 4, 4, 16}}) {
        for (const bool normalize : {false, true}) {
            for (const bool rotate : {false, true}) add_query_key(cases, size, normalize, rotate);
        }
    }
    add_query_key(cases, {7, 2, 1, 5}, true, false);

    const AttentionSpec full = spec_of(AttentionKind::full), causal = spec_of(AttentionKind::causal);
    // batch, queries, keys, offset, heads, kv_heads, head width
    for (const AttentionSize& size :
         {AttentionSize{1, 1, 1, 0, 1, 1, 1}, AttentionSize{2, 3, 3, 0, 2, 2, 5}, AttentionSize{2, 65, 65, 0, 4, 2, 8},
          AttentionSize{1, 64, 64, 0, 6, 1, 33}, AttentionSize{1, 200, 200, 0, 2, 2, 128},
          AttentionSize{3, 130, 130, 0, 4, 4, 32}, AttentionSize{2, 5, 130, 125, 4, 2, 16},
          AttentionSize{8, 70, 200, 67, 2, 1, 24}, AttentionSize{1, 1, 300, 299, 3, 3, 64},
          AttentionSize{1, 2, 1030, 1027, 2, 1, 16}, AttentionSize{2, 200, 200, 0, 4, 2, 64},
          AttentionSize{1, 70, 130, 60, 2, 2, 80}, AttentionSize{1, 128, 128, 0, 2, 2, 16},
          AttentionSize{1, 63, 129, 66, 1, 1, 100}}) {
        add_attention(cases, "full", full, size);
        add_attention(cases, "causal", causal, size);
    }
    const AttentionSize size{2, 130, 130, 0, 4, 2, 16}, continued{2, 70, 130, 60, 4, 2, 16};
    AttentionSpec annealed = spec_of(AttentionKind::annealed);
    annealed.open_probability = 0.3;
    annealed.seed = 7;
    annealed.step = 12;
    for (const AttentionSize& at : {size, continued}) {
        add_attention(cases, "annealed", annealed, at);
        add_attention(cases, "block_causal 10", spec_of(AttentionKind::block_causal, 10), at);
        add_attention(cases, "block_diffusion 13", spec_of(AttentionKind::block_diffusion, 13), at);
        add_attention(cases, "explicit T x T", sparse_mask(1, 130), at);
        // The sharper the softmax, the more of dout v^T - rowsum(dout out) cancels; the rounding of `out` remains.
        add_attention(cases, "explicit B x T x T", sparse_mask(2, 130), at, {}, 2, 2e-6, 6e-3);
    }
    const AttentionSize ragged{4, 130, 130, 0, 2, 1, 8}, ragged_end{4, 70, 130, 60, 2, 1, 8};
    for (const AttentionSize& at : {ragged, ragged_end}) {
        add_attention(cases, "full", full, at, {130, 0, 64, 77});
        add_attention(cases, "causal", causal, at, {65, 130, 63, 2});
        add_attention(cases, "explicit T x T", sparse_mask(1, 130), at, {130, 70, 64, 5});
    }
    // Scores of tens to hundreds: the softmax is nearly one-hot, and its exponent's rounding grows with them.
    add_attention(cases, "full, sharp", full, {1, 130, 130, 0, 2, 2, 32}, {}, 8, 3e-5, 8e-3);
}

}  // namespace dllm::test
