// Batch and sample requests from JavaScript.
#include "convert.h"

#include <limits>

namespace dllm::bindings {
namespace {

constexpr int64_t MAX_COUNT = std::numeric_limits<int32_t>::max();

AttentionSpec to_attention(const Field& field) {
    AttentionSpec spec;
    spec.kind = field["kind"].one_of<AttentionKind>({{"full", AttentionKind::full},
                                                     {"causal", AttentionKind::causal},
                                                     {"annealed", AttentionKind::annealed},
                                                     {"block_causal", AttentionKind::block_causal},
                                                     {"block_diffusion", AttentionKind::block_diffusion},
                                                     {"explicit", AttentionKind::explicit_mask}});
    switch (spec.kind) {
        case AttentionKind::full:
        case AttentionKind::causal: break;
        case AttentionKind::annealed:
            spec.open_probability = field["openProbability"].number();
            spec.seed = field["seed"].seed();
            spec.step = field["step"].seed();
            break;
        case AttentionKind::block_causal:
        case AttentionKind::block_diffusion: spec.block_length = field["blockLength"].integer(0, MAX_COUNT); break;
        case AttentionKind::explicit_mask: spec.mask = field["mask"].bytes(); break;
    }
    return spec;
}

}  // namespace

Batch to_batch(const Field& field) {
    Batch batch;
    batch.batch = field["batch"].integer(0, MAX_COUNT);
    batch.length = field["length"].integer(0, MAX_COUNT);
    batch.tokens = field["tokens"].int32s();
    const Field targets = field["targets"], loss_weights = field["lossWeights"];
    if (!targets.is_null()) batch.targets = targets.int32s();
    if (!loss_weights.is_null()) batch.loss_weights = loss_weights.floats();
    batch.attention = to_attention(field["attention"]);
    const Field positions = field["positions"], lengths = field["lengths"];
    if (!positions.is_null()) batch.positions = positions.int32s();
    if (!lengths.is_null()) batch.lengths = lengths.int32s();
    return batch;
}

std::vector<SampleRequest> to_sample_requests(const Field& field) {
    std::vector<SampleRequest> requests;
    for (uint32_t i = 0; i < field.length(); i++) {
        const Field request = field[i];
        requests.push_back({
            request["tokens"].int32s(),
            request["promptLength"].integer(0, MAX_COUNT),
            request["seed"].seed(),
            request["index"].seed(),
        });
    }
    return requests;
}

}  // namespace dllm::bindings
