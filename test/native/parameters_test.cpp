// The parameter table and initial values.
#include "parameters.h"

#include "small_model.h"
#include "test.h"
#include "thread_limit.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

using namespace dllm;

TEST(parameters_do_not_overlap_and_decay_covers_the_matrices) {
    for (const Naming naming : ALL_NAMINGS) {
        const ParameterTable table = make_parameter_table(small_config(naming));
        std::vector<int> owners(static_cast<size_t>(table.size));
        int64_t count = 0;
        for (const Parameter& parameter : table.parameters) {
            const bool decayed = parameter.shape.size() >= 2;
            CHECK(decayed == (parameter.offset < table.decayed_size));
            CHECK(parameter.offset + parameter.count <= (decayed ? table.decayed_size : table.size));
            for (int64_t i = 0; i < parameter.count; i++) owners[size_t(parameter.offset + i)]++;
            count += parameter.count;
        }
        CHECK(std::all_of(owners.begin(), owners.end(), [](int n) { return n <= 1; }));
        check_equal(table.parameter_count, count, "parameter_count");
    }
}

TEST(parameters_of_published_models_add_up) {
    // 124,439,808 values in the published GPT-2; 3,313,730 in nanoLLaDA.
    ModelConfig gpt2 = small_config(Naming::gpt2);
    gpt2.layers = 12, gpt2.heads = gpt2.kv_heads = 12, gpt2.width = 768, gpt2.mlp_width = 3072;
    gpt2.vocab_size = 50257, gpt2.context_length = 1024;
    check_equal(make_parameter_table(gpt2).parameter_count, 124439808, "GPT-2");
    ModelConfig nano = small_config(Naming::nanollada);
    nano.layers = 4, nano.heads = nano.kv_heads = 8, nano.width = 256, nano.mlp_width = 1024;
    nano.vocab_size = 66, nano.context_length = 512;
    check_equal(make_parameter_table(nano).parameter_count, 3313730, "nanoLLaDA");
}

TEST(parameters_that_are_used_as_one_matrix_lie_side_by_side) {
    const ModelConfig config = small_config(Naming::llama);
    const ParameterTable table = make_parameter_table(config);
    const Parameter& query = *table.find("model.layers.1.self_attn.q_proj.weight");
    const Parameter& key = *table.find("model.layers.1.self_attn.k_proj.weight");
    const Parameter& value = *table.find("model.layers.1.self_attn.v_proj.weight");
    check_equal(key.offset, query.offset + query.count, "key");
    check_equal(value.offset, key.offset + key.count, "value");
    const Slot& qkv = table.layers[1].qkv;
    check_equal(qkv.offset, query.offset, "qkv offset");
    check_equal(qkv.rows, config.qkv_width(), "qkv rows");
    CHECK(table.find("model.layers.2.self_attn.q_proj.weight") == nullptr);
}

TEST(initial_values_have_the_asked_spread_and_follow_the_seed) {
    ModelConfig config = small_config(Naming::gpt2);
    config.width = 128, config.mlp_width = 512, config.init_std = 0.02f;
    const ParameterTable table = make_parameter_table(config);
    std::vector<float> values(static_cast<size_t>(table.size)), again(values.size()), other(values.size());
    initialize_parameters(values.data(), table, 7);
    initialize_parameters(again.data(), table, 7);
    initialize_parameters(other.data(), table, 8);
    CHECK(values == again);
    CHECK(values != other);
    const std::map<std::string, double> spreads = {
        {"h.0.mlp.c_fc.weight", 0.02}, {"h.0.mlp.c_proj.weight", 0.01}, {"h.1.attn.c_proj.weight", 0.01}};
    for (const auto& [name, expected] : spreads) {
        const Parameter& parameter = *table.find(name);
        double sum = 0, square_sum = 0;
        for (int64_t i = 0; i < parameter.count; i++) {
            const double v = values[size_t(parameter.offset + i)];
            sum += v, square_sum += v * v;
        }
        const double n = double(parameter.count);
        CHECK(std::abs(sum / n) < 5 * expected / std::sqrt(n));
        CHECK(std::abs(std::sqrt(square_sum / n) / expected - 1) < 5 / std::sqrt(2 * n));
    }
}

TEST(initial_values_are_the_same_at_any_number_of_threads) {
    const ThreadLimit restored;
    ModelConfig config = small_config(Naming::nanollada);
    for (const InitKind kind : {InitKind::normal, InitKind::pytorch}) {
        config.init = kind, config.vocab_size = 1003, config.width = 120;  // ranges that end within a group
        const ParameterTable table = make_parameter_table(config);
        std::vector<float> one(static_cast<size_t>(table.size), NAN), several(one);
        set_thread_limit(1);
        initialize_parameters(one.data(), table, 7);
        CHECK(std::none_of(one.begin(), one.end(), [](float value) { return std::isnan(value); }));
        for (const int threads : {2, 5}) {
            set_thread_limit(threads);
            several.assign(several.size(), NAN);
            initialize_parameters(several.data(), table, 7);
            CHECK(several == one);
        }
    }
}

TEST(model_config_rejects_what_it_cannot_describe) {
    const ModelConfig good = small_config(Naming::llama);
    validate(good);
    auto rejects = [&](auto change, const char* key) {
        ModelConfig config = good;
        change(config);
        check_throws([&] { validate(config); }, ErrorCode::config, key);
    };
    rejects([](ModelConfig& c) { c.layers = 0; }, "layers");
    rejects([](ModelConfig& c) { c.heads = 5; }, "width");
    rejects([](ModelConfig& c) { c.kv_heads = 3; }, "kvHeads");
    rejects([](ModelConfig& c) { c.mask_token_id = int32_t(c.vocab_size); }, "maskTokenId");
    rejects([](ModelConfig& c) { c.width = 129 * 4; }, "width / heads");
    rejects([](ModelConfig& c) { c.width = 20; }, "even");
    rejects([](ModelConfig& c) { c.norm.eps = 0; }, "norm.eps");
    rejects([](ModelConfig& c) { c.norm.eps = NAN; }, "norm.eps");
    rejects([](ModelConfig& c) { c.norm.bias = true; }, "RMS");
    rejects([](ModelConfig& c) { c.rotary_theta = -1; }, "rotaryTheta");
    rejects([](ModelConfig& c) { c.vocab_size = int64_t(1) << 40; }, "vocabSize");
}
