// From "who may attend to whom" to tiles: each row's open keys as 64-bit words, then 64 rows at a time into tiles.
#include "attention_mask.h"

#include "error.h"
#include "rng.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <span>
#include <string>

namespace dllm {
namespace {

constexpr int64_t TILE = TileMap::TILE;
using Block = std::array<uint64_t, TILE>;

// Bits begin ... end - 1 of one 64-bit word.
uint64_t word_range(int64_t begin, int64_t end) {
    const uint64_t below_end = end >= TILE ? ~uint64_t(0) : (uint64_t(1) << end) - 1;
    return begin >= TILE ? 0 : below_end & (~uint64_t(0) << begin);
}

void open_range(std::span<uint64_t> row, int64_t begin, int64_t end) {
    for (int64_t word = begin / TILE; word * TILE < end; word++) {
        row[word] |= word_range(std::max<int64_t>(begin - word * TILE, 0), end - word * TILE);
    }
}

// Philox gives four draws at once: element / 4 picks the block, element % 4 the word, as in random_bits.
void open_future_at_random(std::span<uint64_t> row, const AttentionSpec& spec, int64_t query, int64_t key_length) {
    const PhiloxKey philox_of_seed = philox_key(spec.seed, 0);
    PhiloxBlock draws{};
    for (int64_t key = query + 1; key < key_length; key++) {
        if (key == query + 1 || key % 4 == 0) {
            draws = philox(philox_of_seed,
                           {{uint32_t(key / 4), uint32_t(query), uint32_t(spec.step), uint32_t(Stream::annealed)}});
        }
        if (uniform(draws.words[key % 4]) < spec.open_probability) row[key / TILE] |= uint64_t(1) << (key % TILE);
    }
}

// Block diffusion over noisy ++ clean: a noisy position sees its own noisy block and the clean blocks before it, a
// clean position sees the clean blocks up to its own (Arriola et al., "Block Diffusion", 2025).
void open_block_diffusion(std::span<uint64_t> row, int64_t block_length, int64_t query, int64_t key_length) {
    const int64_t clean = key_length / 2;  // where the clean half begins
    const int64_t block_begin = query % clean / block_length * block_length;
    if (query < clean) {
        open_range(row, block_begin, block_begin + block_length);
        open_range(row, clean, clean + block_begin);
    } else {
        open_range(row, clean, clean + block_begin + block_length);
    }
}

void open_row(std::span<uint64_t> row, const AttentionSpec& spec, int64_t mask, int64_t query, int64_t key_length) {
    switch (spec.kind) {
        case AttentionKind::full: open_range(row, 0, key_length); break;
        case AttentionKind::causal: open_range(row, 0, query + 1); break;
        case AttentionKind::annealed:
            open_range(row, 0, query + 1);
            open_future_at_random(row, spec, query, key_length);
            break;
        case AttentionKind::block_causal:
            open_range(row, 0, query / spec.block_length * spec.block_length + spec.block_length);
            break;
        case AttentionKind::block_diffusion: open_block_diffusion(row, spec.block_length, query, key_length); break;
        case AttentionKind::explicit_mask: {
            const uint8_t* may_attend = spec.mask.data() + (mask * key_length + query) * key_length;
            for (int64_t key = 0; key < key_length; key++) row[key / TILE] |= uint64_t(may_attend[key]) << (key % TILE);
            break;
        }
    }
}

void check_block_length(const AttentionSpec& spec, int64_t sequence, const char* what) {
    if (spec.block_length < 1 || sequence % spec.block_length != 0) {
        fail(ErrorCode::config, "attention blockLength must be positive and divide the " + std::string(what) + " of " +
                                    std::to_string(sequence) + " tokens, got " + std::to_string(spec.block_length));
    }
}

void check_explicit_mask(const std::vector<uint8_t>& mask, int64_t batch, int64_t key_length) {
    const int64_t one = key_length * key_length;
    const int64_t size = int64_t(mask.size());
    if (size != one && size != batch * one) {
        const std::string length = std::to_string(key_length);
        fail(ErrorCode::config, "attention mask must have " + length + " x " + length + " or " + std::to_string(batch) +
                                    " x " + length + " x " + length + " bytes, got " + std::to_string(size));
    }
    const auto wrong = std::find_if(mask.begin(), mask.end(), [](uint8_t value) { return value > 1; });
    if (wrong != mask.end()) {
        fail(ErrorCode::config, "attention mask bytes must be 0 or 1, got " + std::to_string(*wrong) + " at index " +
                                    std::to_string(wrong - mask.begin()));
    }
}

void check(const AttentionSpec& spec, int64_t batch, int64_t query_length, int64_t key_length, int64_t query_offset) {
    if (batch < 1 || query_length < 1 || query_offset < 0 || query_length > key_length ||
        query_offset > key_length - query_length) {
        fail(ErrorCode::config, "attention needs a batch of at least 1 and queries inside the sequence, got batch " +
                                    std::to_string(batch) + ", " + std::to_string(query_length) +
                                    " queries from position " + std::to_string(query_offset) + " of " +
                                    std::to_string(key_length));
    }
    switch (spec.kind) {
        case AttentionKind::full:
        case AttentionKind::causal: break;
        case AttentionKind::annealed:
            if (!(spec.open_probability >= 0 && spec.open_probability <= 1)) {
                fail(ErrorCode::config,
                     "attention openProbability must be in [0, 1], got " + std::to_string(spec.open_probability));
            }
            if (spec.step > std::numeric_limits<uint32_t>::max()) {
                fail(ErrorCode::config, "attention step must be below 2^32, got " + std::to_string(spec.step));
            }
            break;
        case AttentionKind::block_causal: check_block_length(spec, key_length, "sequence"); break;
        case AttentionKind::block_diffusion:
            if (key_length % 2 != 0) {
                fail(ErrorCode::config,
                     "block_diffusion attention needs an even length, a noisy and a clean half, got " +
                         std::to_string(key_length));
            }
            check_block_length(spec, key_length / 2, "noisy half");
            break;
        case AttentionKind::explicit_mask: check_explicit_mask(spec.mask, batch, key_length); break;
    }
}

// Turns 64 rows of bits into tiles; equal partial tiles share one block of bits.
class TileWriter {
public:
    explicit TileWriter(TileMap& map) : map_(map) {}

    int32_t tile(const Block& block, int64_t rows, int64_t keys) {
        const uint64_t all_keys = word_range(0, keys);
        const auto begin = block.begin(), end = block.begin() + rows;
        if (std::all_of(begin, end, [](uint64_t word) { return word == 0; })) return TileMap::CLOSED;
        if (std::all_of(begin, end, [&](uint64_t word) { return word == all_keys; })) return TileMap::OPEN;
        const auto [entry, is_new] = index_.try_emplace(block, int32_t(index_.size()));
        if (is_new) map_.bits.insert(map_.bits.end(), block.begin(), block.end());
        return entry->second;
    }

private:
    TileMap& map_;
    std::map<Block, int32_t> index_;
};

}  // namespace

TileMap make_tile_map(const AttentionSpec& spec, int64_t batch, int64_t query_length, int64_t key_length,
                      int64_t query_offset) {
    check(spec, batch, query_length, key_length, query_offset);
    TileMap map;
    map.query_tiles = (query_length + TILE - 1) / TILE;
    map.key_tiles = (key_length + TILE - 1) / TILE;
    if (spec.kind == AttentionKind::explicit_mask) map.masks = int64_t(spec.mask.size()) / (key_length * key_length);
    map.tiles.reserve(map.masks * map.query_tiles * map.key_tiles);

    TileWriter writer(map);
    std::vector<uint64_t> words(TILE * map.key_tiles);  // of the 64 queries of one row of tiles
    for (int64_t mask = 0; mask < map.masks; mask++) {
        for (int64_t first = 0; first < query_length; first += TILE) {
            const int64_t rows = std::min(TILE, query_length - first);
            std::fill(words.begin(), words.end(), 0);
            for (int64_t i = 0; i < rows; i++) {
                open_row(std::span(words).subspan(i * map.key_tiles, map.key_tiles), spec, mask,
                         query_offset + first + i, key_length);
            }
            for (int64_t key_tile = 0; key_tile < map.key_tiles; key_tile++) {
                Block block;
                for (int64_t i = 0; i < TILE; i++) block[i] = words[i * map.key_tiles + key_tile];
                map.tiles.push_back(writer.tile(block, rows, std::min(TILE, key_length - key_tile * TILE)));
            }
        }
    }
    return map;
}

}  // namespace dllm
