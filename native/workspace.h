// Device memory of one pass: the batch, the activations and, for training, what the backward pass needs.
#pragma once

#include "arena.h"
#include "backend.h"
#include "batch.h"
#include "config.h"
#include "recordings.h"

#include <cstdint>
#include <span>
#include <vector>

namespace dllm {

// N = batch * length rows. In inference every layer shares one state, and mid is input. When activations are
// recomputed, layers share all but their input. The last layer's mid is where its own use of this ends.
struct LayerState {
    Tensor input;                           // (N, C) residual stream before the layer
    Tensor attention_norm;                  // (N, C)
    Tensor attention_mean, attention_rstd;  // (1, N); mean for layer norm only
    Tensor qkv;                             // (N, (H + 2G) D), queries and keys normed and rotated
    Tensor query_key_rstd;                  // (N, H + G), with query/key norm only
    Tensor attention;                       // (N, H D)
    Tensor log_sum_exp;                     // (B H, T)
    Tensor mid;                             // (N, C) residual stream between attention and MLP
    Tensor mlp_norm;                        // (N, C)
    Tensor mlp_mean, mlp_rstd;              // (1, N)
    Tensor mlp_pre;                         // (N, F), or (N, 2F) for swiglu
    Tensor mlp_hidden;                      // (N, F)
};

// Gradients on their way down, shared by all layers.
struct BackwardState {
    Tensor dresidual;   // (N, C)
    Tensor dnorm;       // (N, C)
    Tensor dqkv;        // (N, (H + 2G) D)
    Tensor dattention;  // (N, H D)
    Tensor dpre;        // as mlp_pre
    Tensor dhidden;     // (N, F)
};

// The last layer's MLP, the final norm and the head run on gathered rows, those that are predicted, in chunks, so that
// logits never take more than Backend::logits_per_pass().
struct HeadState {
    Tensor rows, targets;     // i32 (1, chunk)
    Tensor weights;           // (1, chunk); like targets, of rows with a weight only
    LayerState layer;         // the last one's; its mid and MLP are of these rows only
    Tensor residual, norm;    // (chunk, C); residual is layer.mid in inference
    Tensor mean, rstd;        // (1, chunk)
    Tensor logits;            // (chunk, V)
    Tensor dnorm, dresidual;  // (chunk, C), training only
    BackwardState backward;   // of the MLP, training only
};

// recomputing_training keeps every layer's input and one state for all layers, which the backward pass fills again.
enum class Pass { inference, training, recomputing_training };

// Dropout of one part of a step.
struct StepDropout {
    float probability;       // 0: none
    uint64_t seed;           // of the step
    int64_t first_sequence;  // number of the part's first sequence in the step
};

class Workspace {
public:
    // Room for batches of up to max_batch * max_length rows, with at most max_batch sequences.
    Workspace(Backend& backend, const ModelConfig& config, int64_t max_batch, int64_t max_length, Pass pass);

    bool fits(int64_t batch, int64_t length) const { return batch <= max_batch_ && batch * length <= max_rows_; }
    size_t bytes() const { return arena_.bytes() + mask_arena_.bytes(); }

    // Uploads a batch and shapes every tensor to it. The batch must fit and be valid. The head's rows are those with a
    // weight in the loss, where the batch has targets.
    void load(const Batch& batch, const StepDropout& step_dropout = {});
    // Makes these rows of the batch the head's, without targets.
    void select(std::span<const int32_t> rows);
    // The same of rows i32 (1, M) on the device, which are read when the head runs.
    void select(Tensor rows);
    // The head's state for its rows [first, first + head_chunk), or to their end.
    HeadState head_rows(int64_t first) const;
    bool recomputes() const { return pass_ == Pass::recomputing_training; }

    // All that ops on this workspace are told and that differs between batches: equal keys, equal ops.
    std::vector<int64_t> key() const;
    // Of one sequence of ops on this workspace, by key().
    Recordings recordings;

    Tensor tokens, positions;  // i32 (1, N)
    AttentionShape attention;
    std::vector<LayerState> layers;
    BackwardState backward;
    int64_t head_chunk = 0;  // rows per chunk
    int64_t head_count = 0;  // the head's rows
    DropoutDraw dropout{};   // of this batch, place 0; probability 0: none

private:
    void lay_out(Arena& arena);
    void shape(int64_t batch, int64_t length);
    Tensor stage(const void* values, size_t count, DType dtype = DType::i32);
    const std::vector<int32_t>& positions_of(const Batch& batch);
    void stage_weighted_rows(const Batch& batch);
    void upload_staged(size_t first);
    void load_mask(const Batch& batch);

    Backend& backend_;
    const ModelConfig config_;
    int64_t max_batch_, max_rows_;
    Pass pass_;
    Arena arena_;
    HeadState head_;  // for a whole chunk

    // Everything that a batch uploads but its mask: one after the other, on the host and on the device, at 64-byte
    // boundaries.
    static constexpr int64_t staged_size(int64_t count) { return (count + 15) / 16 * 16; }
    std::vector<int32_t> staged_;
    Tensor inputs_;                                    // (1, room for what is staged)
    size_t staged_batch_ = 0;                          // how much of it precedes the head's rows
    std::vector<int32_t> expanded_positions_;          // to all rows
    int64_t counted_length_ = 0, counted_period_ = 0;  // of a sequence, where a batch did not say them

    // The mask, uploaded again only when it changes; its memory is kept while it is large enough.
    Arena mask_arena_;
    Tensor tile_room_, bit_room_;
    AttentionSpec mask_spec_;
    int64_t mask_batch_ = 0, mask_length_ = 0;  // 0: no mask is loaded
    int64_t masks_ = 0;
    Tensor tiles_, bits_;
};

}  // namespace dllm
