// Choices of plans as lines of words:
//   device NAME
//   cublas VERSION
//   plan timed|first|captured KEY ALGORITHM
//   fusion yes|slower|not_offered|no_memory|no_time KEY
//   fusion failed KEY ERROR
//   end
#include "matmul_choices.h"

#include "words.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <type_traits>
#include <utility>

namespace dllm::cuda {
namespace {

constexpr int64_t MOST = int64_t(1) << 48;  // of a size
constexpr std::string_view CHOSEN_NAMES[] = {"timed", "first", "captured"};
static_assert(std::size(CHOSEN_NAMES) == size_t(Chosen::derived), "what is derived is not saved");
constexpr std::string_view FUSED_NAMES[] = {"yes", "slower", "not_offered", "failed", "no_memory", "no_time"};

// visit(field, least, most) for each field of a key
template <class Key, class Visit>
void for_each_field(Key& key, const Visit& visit) {
    for (auto* size : {&key.m, &key.n, &key.k, &key.ld_left, &key.ld_right, &key.ld_addend, &key.ld_out})
        visit(*size, 1, MOST);
    visit(key.ld_pre, 0, MOST);
    for (auto* flag : {&key.left_transposed, &key.right_transposed, &key.adds, &key.has_bias}) visit(*flag, 0, 1);
    for (auto* dtype : {&key.input, &key.output, &key.bias}) visit(*dtype, 0, int64_t(DType::bf16));
    visit(key.epilogue, 0, int64_t(Epilogue::sums_of_b));
    for (auto* alignment : {&key.left_alignment, &key.right_alignment, &key.addend_alignment, &key.out_alignment,
                            &key.vector_alignment, &key.pre_alignment})
        visit(*alignment, 1, MAX_ALIGNMENT);
}

template <class Id, class Visit>
void for_each_field_of_algorithm(Id& id, const Visit& visit) {
    visit(id.id, 0, std::numeric_limits<int32_t>::max());
    for (auto* word : {&id.tile, &id.stages, &id.swizzling, &id.custom_option})
        visit(*word, 0, std::numeric_limits<uint32_t>::max());
    for (auto* shape : {&id.inner_shape, &id.cluster_shape}) visit(*shape, 0, std::numeric_limits<uint16_t>::max());
}

// Takes the text apart, line by line and word by word.
class Reader {
public:
    explicit Reader(std::string_view text) : rest_(text) {}

    bool at_end() const { return rest_.empty(); }

    void next_line() {
        number_++;
        const size_t end = rest_.find('\n');
        if (end == std::string_view::npos) reject("it does not end");
        line_ = rest_.substr(0, end), rest_.remove_prefix(end + 1);
    }

    std::string_view word() {
        const size_t end = line_.find(' ');
        const std::string_view found = line_.substr(0, end);
        if (found.empty()) reject("a word is missing");
        line_.remove_prefix(end == std::string_view::npos ? line_.size() : end + 1);
        return found;
    }

    int64_t number(int64_t least, int64_t most) {
        const std::string_view text = word();
        int64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
            reject("expected a number from " + std::to_string(least) + " to " + std::to_string(most));
        return value;
    }

    // The index of a word among the accepted ones.
    size_t choice(std::span<const std::string_view> accepted) {
        if (const std::optional<size_t> index = index_of(word(), accepted)) return *index;
        reject("expected " + one_of(accepted));
    }

    std::string_view rest_of_line() { return std::exchange(line_, {}); }

    void finish_line() const {
        if (!line_.empty()) reject("there is more in it than there should be");
    }

    void expect(std::string_view what) {
        if (word() != what) reject("expected \"" + std::string(what) + "\"");
    }

    [[noreturn]] void reject(const std::string& rule) const {
        fail(ErrorCode::checkpoint, "line " + std::to_string(number_) + " is damaged: " + rule);
    }

private:
    std::string_view rest_, line_;
    int number_ = 0;
};

std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

}  // namespace

std::string write_choices(const MatmulChoices& choices) {
    std::string text = "device " + choices.device + "\ncublas " + std::to_string(choices.cublas_version) + "\n";
    const auto write = [&](const auto& field, int64_t, int64_t) { text += " " + std::to_string(int64_t(field)); };
    for (const auto& [key, algorithm, chosen] : choices.plans) {
        text.append("plan ").append(CHOSEN_NAMES[int(chosen)]);
        for_each_field(key, write);
        for_each_field_of_algorithm(algorithm, write);
        text += "\n";
    }
    for (const auto& [key, choice] : choices.fusions) {
        text.append("fusion ").append(FUSED_NAMES[int(choice.fused)]);
        for_each_field(key, write);
        if (choice.fused == Fused::failed) text += " " + one_line(choice.error);
        text += "\n";
    }
    return text + "end\n";
}

MatmulChoices read_choices(std::string_view text) {
    Reader reader(text);
    const auto read = [&](auto& field, int64_t least, int64_t most) {
        field = static_cast<std::remove_reference_t<decltype(field)>>(reader.number(least, most));
    };
    MatmulChoices choices;
    reader.next_line();
    reader.expect("device");
    choices.device = reader.rest_of_line();
    reader.next_line();
    reader.expect("cublas");
    read(choices.cublas_version, 0, MOST);
    for (;;) {
        reader.finish_line();
        reader.next_line();
        const std::string_view kind = reader.word();
        if (kind == "end") break;
        if (kind == "plan") {
            auto& [key, algorithm, chosen] = choices.plans.emplace_back();
            chosen = Chosen(reader.choice(CHOSEN_NAMES));
            for_each_field(key, read);
            for_each_field_of_algorithm(algorithm, read);
        } else if (kind == "fusion") {
            auto& [key, choice] = choices.fusions.emplace_back();
            choice.fused = Fused(reader.choice(FUSED_NAMES));
            for_each_field(key, read);
            if (choice.fused == Fused::failed) choice.error = reader.rest_of_line();
        } else {
            reader.reject("expected plan, fusion or end");
        }
    }
    reader.finish_line();
    if (!reader.at_end()) reader.reject("nothing may follow it");
    return choices;
}

}  // namespace dllm::cuda
