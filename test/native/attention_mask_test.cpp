// Tile maps, entry by entry, against the plain definition of each kind of attention.
#include "attention_mask.h"
#include "random_matrix.h"
#include "reference/attention.h"
#include "test.h"

namespace dllm {
namespace {

constexpr int64_t TILE = TileMap::TILE;

AttentionSpec spec_of(AttentionKind kind, int64_t block_length = 0) {
    AttentionSpec spec;
    spec.kind = kind;
    spec.block_length = block_length;
    return spec;
}

AttentionSpec annealed(double open_probability, uint64_t step = 3) {
    AttentionSpec spec = spec_of(AttentionKind::annealed);
    spec.open_probability = open_probability;
    spec.seed = 17;
    spec.step = step;
    return spec;
}

AttentionSpec random_mask(int64_t count) {
    AttentionSpec spec = spec_of(AttentionKind::explicit_mask);
    test::Random random(21);
    for (int64_t i = 0; i < count; i++) spec.mask.push_back(random.bits() % 2);
    return spec;
}

// Every tile says exactly what the definition says: closed, open, or bits that are clear beyond the length.
void check_map(const AttentionSpec& spec, int64_t batch, int64_t query_length, int64_t key_length, int64_t offset) {
    const TileMap map = make_tile_map(spec, batch, query_length, key_length, offset);
    check_equal(map.query_tiles, (query_length + TILE - 1) / TILE, "query tiles");
    check_equal(map.key_tiles, (key_length + TILE - 1) / TILE, "key tiles");
    check_equal(int64_t(map.tiles.size()), map.masks * map.query_tiles * map.key_tiles, "tiles");
    check_equal(map.masks, int64_t(spec.mask.size()) > key_length * key_length ? batch : 1, "masks");
    for (size_t i = 0; i < map.tiles.size(); i++) {
        const int64_t mask = int64_t(i) / map.key_tiles / map.query_tiles;
        const int64_t query_tile = int64_t(i) / map.key_tiles % map.query_tiles, key_tile = int64_t(i) % map.key_tiles;
        const int64_t rows = std::min(TILE, query_length - query_tile * TILE);
        const int64_t keys = std::min(TILE, key_length - key_tile * TILE);
        const int32_t tile = map.tiles[i];
        CHECK(tile >= TileMap::OPEN && tile < int64_t(map.bits.size()) / TILE);
        int64_t open = 0;
        for (int64_t row = 0; row < TILE; row++) {
            for (int64_t key = 0; key < TILE; key++) {
                const bool inside = row < rows && key < keys;
                const bool expected = inside && reference::may_attend(spec, mask, offset + query_tile * TILE + row,
                                                                      key_tile * TILE + key, key_length);
                open += expected;
                if (tile >= 0) CHECK(expected == ((map.bits[tile * TILE + row] >> key & 1) == 1));
            }
        }
        CHECK((tile == TileMap::CLOSED) == (open == 0));
        CHECK((tile == TileMap::OPEN) == (open == rows * keys));
    }
}

TEST(attention_mask_square) {
    for (const int64_t length : {1, 2, 63, 64, 65, 96, 128, 130, 200}) {
        check_map(spec_of(AttentionKind::full), 3, length, length, 0);
        check_map(spec_of(AttentionKind::causal), 3, length, length, 0);
        for (const double probability : {0.0, 0.02, 0.5, 1.0}) check_map(annealed(probability), 2, length, length, 0);
        for (int64_t block = 1; block <= length; block++) {
            if (length % block == 0) check_map(spec_of(AttentionKind::block_causal, block), 2, length, length, 0);
            if (length % 2 == 0 && length / 2 % block == 0) {
                check_map(spec_of(AttentionKind::block_diffusion, block), 2, length, length, 0);
            }
        }
        check_map(random_mask(length * length), 3, length, length, 0);
        check_map(random_mask(3 * length * length), 3, length, length, 0);
    }
}

TEST(attention_mask_offset) {
    struct Shape {
        int64_t queries, keys, offset;
    };
    for (const auto [queries, keys, offset] :
         {Shape{1, 130, 129}, Shape{5, 130, 64}, Shape{66, 130, 3}, Shape{70, 200, 130}}) {
        check_map(spec_of(AttentionKind::full), 2, queries, keys, offset);
        check_map(spec_of(AttentionKind::causal), 2, queries, keys, offset);
        check_map(annealed(0.4), 2, queries, keys, offset);
        check_map(spec_of(AttentionKind::block_causal, 10), 2, queries, keys, offset);
        check_map(spec_of(AttentionKind::block_diffusion, 5), 2, queries, keys, offset);
        check_map(random_mask(keys * keys), 2, queries, keys, offset);
        check_map(random_mask(2 * keys * keys), 2, queries, keys, offset);
    }
}

TEST(attention_mask_shares_equal_tiles) {
    const TileMap causal = make_tile_map(spec_of(AttentionKind::causal), 1, 1024, 1024, 0);
    check_equal(int64_t(causal.bits.size()), TILE, "bits of a causal mask");
    const TileMap zeros = make_tile_map(
        [] {
            AttentionSpec spec = spec_of(AttentionKind::explicit_mask);
            spec.mask.assign(130 * 130, 0);
            return spec;
        }(),
        4, 130, 130, 0);
    CHECK(zeros.bits.empty() && zeros.masks == 1);
}

TEST(attention_mask_annealed_draws) {
    const TileMap closed = make_tile_map(annealed(0), 1, 150, 150, 0);
    const TileMap causal = make_tile_map(spec_of(AttentionKind::causal), 1, 150, 150, 0);
    CHECK(closed.tiles == causal.tiles && closed.bits == causal.bits);
    const TileMap open = make_tile_map(annealed(1), 1, 150, 150, 0);
    CHECK(open.bits.empty() && open.tiles == std::vector<int32_t>(9, TileMap::OPEN));

    constexpr int64_t LENGTH = 400;
    for (const uint64_t step : {0, 1, 2}) {
        int64_t future_open = 0;
        for (int64_t q = 0; q < LENGTH; q++) {
            for (int64_t k = q + 1; k < LENGTH; k++)
                future_open += reference::may_attend(annealed(0.3, step), 0, q, k, LENGTH);
        }
        check_close(double(future_open) / (LENGTH * (LENGTH - 1) / 2), 0.3, 0.01, "share of open future entries");
    }
    CHECK(make_tile_map(annealed(0.3, 1), 1, 150, 150, 0).bits != make_tile_map(annealed(0.3, 2), 1, 150, 150, 0).bits);
}

TEST(attention_mask_rejects) {
    const auto map_of = [](const AttentionSpec& spec, int64_t length, int64_t batch = 2) {
        return [=] { make_tile_map(spec, batch, length, length, 0); };
    };
    check_throws(map_of(spec_of(AttentionKind::block_causal, 7), 20), ErrorCode::config, "blockLength");
    check_throws(map_of(spec_of(AttentionKind::block_causal, 0), 20), ErrorCode::config, "got 0");
    check_throws(map_of(spec_of(AttentionKind::block_causal, -4), 20), ErrorCode::config, "got -4");
    check_throws(map_of(spec_of(AttentionKind::block_diffusion, 4), 20), ErrorCode::config, "noisy half of 10");
    check_throws(map_of(spec_of(AttentionKind::block_diffusion, 1), 21), ErrorCode::config, "even length");
    check_throws(map_of(annealed(1.5), 20), ErrorCode::config, "openProbability");
    check_throws(map_of(annealed(NAN), 20), ErrorCode::config, "openProbability");
    check_throws(map_of(annealed(0.5, uint64_t(1) << 32), 20), ErrorCode::config, "step");
    check_throws(map_of(random_mask(0), 20), ErrorCode::config, "20 x 20 or 2 x 20 x 20 bytes, got 0");
    check_throws(map_of(random_mask(401), 20), ErrorCode::config, "got 401");
    check_throws(map_of(random_mask(3 * 400), 20), ErrorCode::config, "got 1200");
    AttentionSpec twos = random_mask(400);
    twos.mask[17] = 2;
    check_throws(map_of(twos, 20), ErrorCode::config, "got 2 at index 17");
    check_throws(map_of(spec_of(AttentionKind::full), 0), ErrorCode::config, "queries");
    check_throws(map_of(spec_of(AttentionKind::full), 5, 0), ErrorCode::config, "batch");
    check_throws([] { make_tile_map({}, 1, 5, 8, 4); }, ErrorCode::config, "from position 4 of 8");
    check_throws([] { make_tile_map({}, 1, 5, 8, -1); }, ErrorCode::config, "position -1");
}

}  // namespace
}  // namespace dllm
