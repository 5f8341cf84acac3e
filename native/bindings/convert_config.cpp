// ModelConfig, TrainConfig and SampleConfig from JavaScript.
#include "convert.h"

#include <limits>

namespace dllm::bindings {
namespace {

constexpr int64_t MAX_COUNT = std::numeric_limits<int32_t>::max();

int64_t count(const Field& field) { return field.integer(0, MAX_COUNT); }

NormConfig to_norm_config(const Field& field) {
    return {
        field["kind"].one_of<NormKind>({{"layer", NormKind::layer}, {"rms", NormKind::rms}}),
        field["eps"].single(),
        field["bias"].boolean(),
    };
}

}  // namespace

ModelConfig to_model_config(const Field& field) {
    ModelConfig config{};
    config.naming = field["naming"].one_of<Naming>(
        {{"gpt2", Naming::gpt2}, {"llama", Naming::llama}, {"llada", Naming::llada}, {"nanollada", Naming::nanollada}});
    config.layers = count(field["layers"]);
    config.heads = count(field["heads"]);
    config.kv_heads = count(field["kvHeads"]);
    config.width = count(field["width"]);
    config.mlp_width = count(field["mlpWidth"]);
    config.vocab_size = count(field["vocabSize"]);
    config.context_length = count(field["contextLength"]);
    config.mask_token_id = int32_t(count(field["maskTokenId"]));
    config.norm = to_norm_config(field["norm"]);
    const Field final_norm = field["finalNorm"];
    if (!final_norm.is_null()) config.final_norm = to_norm_config(final_norm);
    config.positions =
        field["positions"].one_of<PositionKind>({{"learned", PositionKind::learned}, {"rotary", PositionKind::rotary}});
    config.rotary_theta = field["rotaryTheta"].number();
    config.qkv_bias = field["qkvBias"].boolean();
    config.attention_output_bias = field["attentionOutputBias"].boolean();
    config.mlp_bias = field["mlpBias"].boolean();
    config.head_bias = field["headBias"].boolean();
    config.mlp = field["mlp"].one_of<Activation>(
        {{"gelu", Activation::gelu}, {"silu", Activation::silu}, {"swiglu", Activation::swiglu}});
    config.tied_head = field["tiedHead"].boolean();
    config.query_key_norm = field["queryKeyNorm"].boolean();
    config.query_key_norm_eps = field["queryKeyNormEps"].single();
    config.dropout = field["dropout"].single();
    config.init = field["init"].one_of<InitKind>({{"normal", InitKind::normal}, {"pytorch", InitKind::pytorch}});
    config.init_std = field["initStd"].single();
    return config;
}

TrainConfig to_train_config(const Field& field) {
    TrainConfig config{};
    config.batch_size = count(field["batchSize"]);
    config.gradient_accumulation = count(field["gradientAccumulation"]);
    config.context_length = count(field["contextLength"]);
    config.seed = field["seed"].seed();

    const Field objective = field["objective"];
    config.objective.kind = objective["kind"].one_of<ObjectiveKind>(
        {{"masked", ObjectiveKind::masked}, {"next_token", ObjectiveKind::next_token}});
    config.objective.min_time = objective["minTime"].number();
    config.objective.random_length_fraction = objective["randomLengthFraction"].number();

    const Field optimizer = field["optimizer"];
    config.optimizer.beta1 = optimizer["beta1"].single();
    config.optimizer.beta2 = optimizer["beta2"].single();
    config.optimizer.epsilon = optimizer["epsilon"].single();
    config.optimizer.weight_decay = optimizer["weightDecay"].single();
    config.optimizer.gradient_clip = optimizer["gradientClip"].single();

    const Field rate = field["learningRate"];
    config.learning_rate.schedule =
        rate["schedule"].one_of<LearningRateSchedule>({{"constant", LearningRateSchedule::constant},
                                                       {"cosine", LearningRateSchedule::cosine},
                                                       {"wsd", LearningRateSchedule::wsd}});
    config.learning_rate.peak = rate["peak"].number();
    config.learning_rate.minimum = rate["minimum"].number();
    config.learning_rate.warmup_steps = count(rate["warmupSteps"]);
    config.learning_rate.decay_steps = count(rate["decaySteps"]);
    config.learning_rate.steps = count(rate["steps"]);

    config.ema_decay = field["emaDecay"].number();
    config.activation_recompute = field["activationRecompute"].boolean();
    config.eval_batches = count(field["evalBatches"]);
    return config;
}

SampleConfig to_sample_config(const Field& field) {
    SampleConfig config{};
    config.steps = count(field["steps"]);
    config.block_length = count(field["blockLength"]);
    config.temperature = field["temperature"].number();
    config.top_k = count(field["topK"]);
    config.top_p = field["topP"].number();
    config.remasking = field["remasking"].one_of<Remasking>({{"low_confidence", Remasking::low_confidence},
                                                             {"random", Remasking::random},
                                                             {"margin", Remasking::margin},
                                                             {"entropy", Remasking::entropy}});
    const Field commit = field["commit"];
    config.commit.kind = commit["kind"].one_of<CommitKind>(
        {{"count", CommitKind::count}, {"threshold", CommitKind::threshold}, {"factor", CommitKind::factor}});
    config.commit.value = commit["value"].single();
    return config;
}

}  // namespace dllm::bindings
