// A sequence's attention has the same bits alone as padded within a ragged batch.
#include "cpu/backend.h"
#include "cpu/kernels.h"
#include "cuda/backend.h"
#include "device_checks.h"
#include "emulated/hopper.h"
#include "op_run.h"
#include "test.h"

namespace dllm {
namespace {

using namespace test;
using reference::Matrix;

constexpr int64_t LENGTH = 200, HEADS = 4, KV_HEADS = 2;
const std::vector<int32_t> LENGTHS = {200, 65, 7, 64, 129};

enum Result { OUT, DQ, DK, DV, RESULTS };

// The first `rows` rows of sequence b in each of the padded inputs.
Matrix<float> sequence(const Matrix<float>& all, int64_t b, int64_t rows) {
    Matrix<float> one(rows, all.cols);
    std::copy_n(all.data.data() + b * LENGTH * all.cols, rows * all.cols, one.data.data());
    return one;
}

struct Inputs {
    Matrix<float> q, k, v, dout;

    Inputs(int64_t head_width, int64_t sequences) {
        Random random(41);
        const int64_t rows = sequences * LENGTH;
        q = random.normal<float>(rows, HEADS * head_width);
        k = random.normal<float>(rows, KV_HEADS * head_width);
        v = random.normal<float>(rows, KV_HEADS * head_width);
        dout = random.normal<float>(rows, HEADS * head_width);
    }
    Inputs(const Inputs& all, int64_t b, int64_t rows)
        : q(sequence(all.q, b, rows)), k(sequence(all.k, b, rows)), v(sequence(all.v, b, rows)),
          dout(sequence(all.dout, b, rows)) {}
};

// The bits of out, dq, dk and dv of a batch of sequences padded to `length`.
std::vector<std::vector<uint32_t>> attend(Backend& backend, AttentionKind kind, const Inputs& inputs, int64_t length,
                                          const std::vector<int32_t>& lengths) {
    OpRun run(backend, Placement::tight, false);
    AttentionSpec spec;
    spec.kind = kind;
    const int64_t batch = inputs.q.rows / length;
    const TileMap map = make_tile_map(spec, batch, length, length, 0);
    const Tensor tiles = run.table("tiles", map.tiles, map.query_tiles).tensor;
    std::vector<int32_t> halves;
    for (const uint64_t word : map.bits) halves.insert(halves.end(), {int32_t(word), int32_t(word >> 32)});
    const int64_t blocks = int64_t(map.bits.size()) / TileMap::TILE;
    const Tensor bits = blocks > 0 ? run.table("bits", halves, blocks).tensor : Tensor{};
    const AttentionShape shape{batch,
                               length,
                               length,
                               0,
                               HEADS,
                               KV_HEADS,
                               inputs.q.cols / HEADS,
                               map.masks,
                               tiles,
                               bits,
                               lengths.empty() ? Tensor{} : run.input("lengths", lengths).tensor};
    const Tensor q = run.input("q", inputs.q).tensor, k = run.input("k", inputs.k).tensor;
    const Tensor v = run.input("v", inputs.v).tensor, dout = run.input("dout", inputs.dout).tensor;
    const Tensor log_sum_exp = run.written_f32("log_sum_exp", batch * HEADS, length).tensor;
    const Tensor out = run.written("out", q.rows, q.cols).tensor, dq = run.written("dq", q.rows, q.cols).tensor;
    const Tensor dk = run.written("dk", k.rows, k.cols).tensor, dv = run.written("dv", k.rows, k.cols).tensor;
    backend.attention_forward(out, log_sum_exp, q, k, v, shape);
    backend.attention_backward(dq, dk, dv, dout, q, k, v, out, log_sum_exp, shape);
    return {run.bits(out), run.bits(dq), run.bits(dk), run.bits(dv)};
}

}  // namespace

void check_independent_sequences(Backend& backend, const std::string& name, std::initializer_list<int64_t> head_widths,
                                 int64_t repeats) {
    std::vector<int32_t> lengths;
    for (int64_t i = 0; i < repeats; i++) lengths.insert(lengths.end(), LENGTHS.begin(), LENGTHS.end());
    for (const AttentionKind kind : {AttentionKind::full, AttentionKind::causal}) {
        for (const int64_t head_width : head_widths) {
            const Inputs inputs(head_width, int64_t(lengths.size()));
            const auto together = attend(backend, kind, inputs, LENGTH, lengths);
            for (int64_t b = 0; b < int64_t(LENGTHS.size()); b++) {
                const auto alone = attend(backend, kind, Inputs(inputs, b, LENGTHS[b]), LENGTHS[b], {});
                for (int result = OUT; result < RESULTS; result++) {
                    const int64_t width = int64_t(alone[result].size()) / LENGTHS[b];
                    const auto begin = together[result].begin() + b * LENGTH * width;
                    if (std::equal(alone[result].begin(), alone[result].end(), begin)) continue;
                    const char* names[] = {"out", "dq", "dk", "dv"};
                    throw Failure{
                        join(name, kind == AttentionKind::full ? ", full" : ", causal", ", head width ", head_width,
                             ", length ", LENGTHS[b], ": ", names[result], " has other bits alone"),
                        std::source_location::current()};
                }
            }
        }
    }
}

namespace {

TEST(attention_sequences_do_not_depend_on_the_batch) {
    for (const std::string& path : usable_paths())
        check_independent_sequences(*make_cpu_backend(path), path, {8, 33, 64}, 1);
}

TEST(emulated_attention_sequences_do_not_depend_on_the_batch) {
    cuda::CudaBackend float32(0, DType::f32), bfloat16(0, DType::bf16);
    check_independent_sequences(float32, float32.name(), {33}, 1);
    check_independent_sequences(bfloat16, bfloat16.name(), {33, 64}, 1);
}

TEST(emulated_attention_of_warpgroups_does_not_depend_on_the_batch) {
    const emulated::Hopper hopper;
    cuda::CudaBackend backend(0, DType::bf16);
    check_independent_sequences(backend, "wgmma", {64, 128}, 1);
}

}  // namespace
}  // namespace dllm
