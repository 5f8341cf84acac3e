// The decoding traces of the test vectors: what an independent implementation of LLaDA's sampler gave to each of its
// passes.
#include "sampler.h"
#include "test.h"
#include "vector_case.h"

namespace dllm::test {
namespace {

std::vector<int32_t> tokens_of(const JsonValue& list) {
    std::vector<int32_t> tokens;
    for (const JsonValue& token : list.array()) tokens.push_back(int32_t(token.integer()));
    return tokens;
}

// The others use a cache or guidance.
bool is_plain(const std::string& name) { return name.starts_with("vanilla") || name.starts_with("threshold"); }

void check_trace(const std::shared_ptr<Model>& model, const JsonValue& trace) {
    const JsonValue& options = trace.at("options");
    SampleConfig config{options.at("steps").integer(), options.at("block_length").integer(), 0,
                        Remasking::low_confidence};
    if (const JsonValue* threshold = options.find("threshold"))
        config.commit = {CommitKind::threshold, float(threshold->number())};
    const JsonValue::Array& canvases = trace.at("canvases").array();
    const auto prompt_length = int64_t(trace.at("prompt").array().size());
    Sampler sampler(model, config, {{tokens_of(canvases.front()), prompt_length, 0, 0}});
    const std::string name = trace.at("name").string() + " " + std::to_string(trace.at("seed").integer());
    for (size_t pass = 1; pass <= canvases.size(); pass++) {
        if (sampler.done()) throw Failure{join(name, ": done after ", pass - 1), std::source_location::current()};
        const std::vector<int32_t> expected = tokens_of(pass < canvases.size() ? canvases[pass] : trace.at("output"));
        check_equal(sampler.step().front().canvas, expected, join(name, ", pass ", pass));
    }
    CHECK(sampler.done());
}

}  // namespace

void check_decoding_traces(std::unique_ptr<Backend> backend) {
    const std::shared_ptr<Model> model = VectorCase("llada-masked").model(std::move(backend));
    const JsonValue file = read_vector_json("llada-decode/traces.json");
    int checked = 0;
    for (const JsonValue& trace : file.at("traces").array()) {
        if (!is_plain(trace.at("name").string())) continue;
        check_trace(model, trace);
        checked++;
    }
    CHECK(checked > 0);
}

}  // namespace dllm::test
