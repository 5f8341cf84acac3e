// The complete description of a model, a training run and a sampling run. No defaults here: TypeScript fills them in.
#pragma once

#include <cstdint>
#include <optional>

namespace dllm {

constexpr int64_t MAX_HEAD_WIDTH = 128;  // what the attention of every backend is made for

enum class NormKind { layer, rms };
enum class PositionKind { learned, rotary };
enum class Activation { gelu, silu, swiglu };  // gelu is the tanh form

// Whose tensor names a checkpoint uses; it also fixes whether linear weights are stored [in, out] or [out, in].
enum class Naming { gpt2, llama, llada, nanollada };
enum class WeightLayout { in_out, out_in };

enum class InitKind {
    normal,   // N(0, init_std), residual outputs divided by sqrt(2 layers), biases 0
    pytorch,  // nn.Linear and nn.Embedding defaults: U(-1/sqrt(in), 1/sqrt(in)) and N(0, 1)
};

struct NormConfig {
    NormKind kind;
    float eps;
    bool bias;
};

struct ModelConfig {
    Naming naming;
    int64_t layers;
    int64_t heads;
    int64_t kv_heads;
    int64_t width;
    int64_t mlp_width;
    int64_t vocab_size;
    int64_t context_length;
    int32_t mask_token_id;
    NormConfig norm;                       // before attention and before the MLP
    std::optional<NormConfig> final_norm;  // absent: the head reads the residual stream
    PositionKind positions;
    double rotary_theta;
    bool qkv_bias;
    bool attention_output_bias;
    bool mlp_bias;
    bool head_bias;
    Activation mlp;
    bool tied_head;
    bool query_key_norm;  // weightless RMS norm of every query and key head, before rotary
    float query_key_norm_eps;
    float dropout;  // probability, while training, on the embedding and on every output of attention and MLP
    InitKind init;
    float init_std;

    int64_t head_width() const { return width / heads; }
    int64_t qkv_width() const { return (heads + 2 * kv_heads) * head_width(); }
    WeightLayout weight_layout() const { return naming == Naming::gpt2 ? WeightLayout::in_out : WeightLayout::out_in; }
};

// Throws ERR_CONFIG naming the first key whose value cannot describe a model.
void validate(const ModelConfig& config);

struct OptimizerConfig {
    float beta1;
    float beta2;
    float epsilon;
    float weight_decay;   // on tensors with at least two dimensions
    float gradient_clip;  // largest global norm; 0 switches clipping off
};

enum class LearningRateSchedule { constant, cosine, wsd };

struct LearningRateConfig {
    LearningRateSchedule schedule;
    double peak;
    double minimum;
    int64_t warmup_steps;
    int64_t decay_steps;  // wsd: the last steps, in which the rate falls
    int64_t steps;
};

enum class ObjectiveKind { masked, next_token };

struct ObjectiveConfig {
    ObjectiveKind kind;
    double min_time;                // epsilon of the mask probability (1 - epsilon) t + epsilon
    double random_length_fraction;  // share of steps cut to a random length
};

struct TrainConfig {
    int64_t batch_size;             // sequences per optimizer step
    int64_t gradient_accumulation;  // parts that they are computed in, one after the other
    int64_t context_length;
    uint64_t seed;
    ObjectiveConfig objective;
    OptimizerConfig optimizer;
    LearningRateConfig learning_rate;
    double ema_decay;           // of the moving average of the weights; 0: none is kept
    bool activation_recompute;  // keep only every layer's input, and compute the rest again in the backward pass
    int64_t eval_batches;
};

// What the predictions of a step are ordered by; the first in that order are kept. Always of the logits as the model
// gives them, the mask token included: neither the temperature nor top-k or top-p changes them.
enum class Remasking {
    low_confidence,  // the probability of the predicted token
    random,          // a draw
    margin,          // the largest probability less the second largest
    entropy,         // the negative entropy
};

enum class CommitKind { count, threshold, factor };

// Which of a block's predictions a step commits, the surest first.
struct CommitRule {
    CommitKind kind = CommitKind::count;  // as many as the plan says
    // threshold: those of at least this score (Wu et al., "Fast-dLLM", 2025). factor: the largest n whose n-th score is
    // at least 1 - value / (n + 1) (the same). Both commit at least one.
    float value = 0;
};

struct SampleConfig {
    int64_t steps;  // forward passes of a request over all of its blocks; not read unless the commit rule is a count
    int64_t block_length;
    double temperature;
    Remasking remasking;
    CommitRule commit{};
    int64_t top_k = 0;  // most tokens to draw from; 0: all
    double top_p = 1;   // probability of the tokens to draw from
};

}  // namespace dllm
