// Loading a batch into a workspace: one packed upload, and the mask's when it changes.
#include "error.h"
#include "workspace.h"

#include <algorithm>
#include <cstring>

namespace dllm {

// The values at the next 64-byte boundary of what is staged, and where they will be on the device.
Tensor Workspace::stage(const void* values, size_t count, DType dtype) {
    const size_t begin = staged_.size();
    staged_.resize(begin + size_t(staged_size(int64_t(count))));
    if (count > 0) std::memcpy(staged_.data() + begin, values, count * sizeof(int32_t));
    Tensor slice = inputs_.slice_cols(int64_t(begin), int64_t(count));
    slice.stride = int64_t(count), slice.dtype = dtype;
    return slice;
}

void Workspace::upload_staged(size_t first) {
    const int64_t count = int64_t(staged_.size() - first);
    if (count > 0) backend_.upload(inputs_.slice_cols(int64_t(first), count), staged_.data() + first);
}

// Of all rows, and perhaps some more.
const std::vector<int32_t>& Workspace::positions_of(const Batch& batch) {
    const size_t T = size_t(batch.length), rows = batch.tokens.size();
    if (batch.positions.size() == rows) return batch.positions;
    const int64_t span = batch.attention.kind == AttentionKind::block_diffusion ? batch.length / 2 : batch.length;
    const int64_t period = batch.positions.empty() ? span : 0;
    const bool kept = period > 0 && period == counted_period_ && batch.length == counted_length_;
    if (kept && expanded_positions_.size() >= rows) return expanded_positions_;
    expanded_positions_.resize(rows);
    for (size_t i = 0; i < rows; i++)
        expanded_positions_[i] = period > 0 ? int32_t(int64_t(i % T) % period) : batch.positions[i % T];
    counted_length_ = batch.length, counted_period_ = period;
    return expanded_positions_;
}

void Workspace::load(const Batch& batch, const StepDropout& step_dropout) {
    if (!fits(batch.batch, batch.length)) fail(ErrorCode::native, "a batch is larger than its workspace");
    shape(batch.batch, batch.length);
    staged_.clear();
    tokens = stage(batch.tokens.data(), batch.tokens.size());
    positions = stage(positions_of(batch).data(), batch.tokens.size());
    const Tensor lengths = batch.lengths.empty() ? Tensor{} : stage(batch.lengths.data(), batch.lengths.size());
    dropout = {step_dropout.probability, {}, batch.length, 0, {}};
    if (step_dropout.probability > 0) {
        const int32_t seed[] = {int32_t(step_dropout.seed), int32_t(step_dropout.seed >> 32),
                                int32_t(step_dropout.first_sequence)};
        dropout.seed = stage(seed, std::size(seed));
    }
    staged_batch_ = staged_.size();
    stage_weighted_rows(batch);
    upload_staged(0);

    load_mask(batch);
    attention = {batch.batch,          batch.length, batch.length, 0,     config_.heads, config_.kv_heads,
                 config_.head_width(), masks_,       tiles_,       bits_, lengths};
}

void Workspace::select(std::span<const int32_t> rows) {
    staged_.resize(staged_batch_);
    head_count = int64_t(rows.size());
    head_.rows = stage(rows.data(), rows.size());
    head_.targets = head_.weights = {};
    upload_staged(staged_batch_);
}

void Workspace::select(Tensor rows) {
    head_count = rows.cols;
    head_.rows = rows;
    head_.targets = head_.weights = {};
}

void Workspace::stage_weighted_rows(const Batch& batch) {
    std::vector<int32_t> rows, targets;
    std::vector<float> weights;
    const size_t N = batch.targets.empty() ? 0 : batch.loss_weights.size();
    for (size_t i = 0; i < N; i++) {
        if (batch.loss_weights[i] == 0) continue;
        rows.push_back(int32_t(i));
        targets.push_back(batch.targets[i]);
        weights.push_back(batch.loss_weights[i]);
    }
    // Filled up by rows without a weight, which change neither loss nor gradients; their targets are never read.
    const size_t bucket = size_t(backend_.row_bucket());
    const size_t filled = std::min((rows.size() + bucket - 1) / bucket * bucket, N);
    for (size_t i = 0; rows.size() < filled; i++)
        if (batch.loss_weights[i] == 0) rows.push_back(int32_t(i));
    targets.resize(filled), weights.resize(filled);

    head_count = int64_t(filled);
    head_.rows = stage(rows.data(), filled);
    head_.targets = stage(targets.data(), filled);
    head_.weights = stage(weights.data(), filled, DType::f32);
}

void Workspace::load_mask(const Batch& batch) {
    const bool same_batch = masks_ == 1 || batch.batch == mask_batch_;
    if (batch.length == mask_length_ && same_batch && batch.attention == mask_spec_) return;
    mask_length_ = 0;
    const TileMap map = make_tile_map(batch.attention, batch.batch, batch.length, batch.length, 0);
    const int64_t tiles = int64_t(map.tiles.size()), blocks = int64_t(map.bits.size()) / TileMap::TILE;
    if (tiles > tile_room_.cols || blocks > bit_room_.rows) {
        const int64_t most_tiles = std::max(tiles, tile_room_.cols), most_blocks = std::max(blocks, bit_room_.rows);
        mask_arena_ = {};  // frees the smaller one first
        tile_room_ = bit_room_ = {};
        Tensor tile_room, bit_room;  // measured first: without memory they must not look like room
        mask_arena_ = Arena::lay_out(backend_, [&](Arena& arena) {
            tile_room = arena.take(1, most_tiles, DType::i32);
            bit_room = arena.take(most_blocks, 2 * TileMap::TILE, DType::i32);
        });
        tile_room_ = tile_room, bit_room_ = bit_room;
    }
    masks_ = map.masks;
    tiles_ = tile_room_.reshape(map.masks * map.query_tiles, map.key_tiles);
    bits_ = blocks > 0 ? bit_room_.slice_rows(0, blocks) : Tensor{};
    backend_.upload(tiles_, map.tiles.data());
    if (bits_) backend_.upload(bits_, map.bits.data());
    mask_spec_ = batch.attention;
    mask_batch_ = batch.batch, mask_length_ = batch.length;
}

}  // namespace dllm
