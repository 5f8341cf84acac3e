// Valid files, broken in ways that follow their structure. The reader must refuse each with a typed error or hold every
// rule it promises, in bounded time and memory. DLLM_FUZZ_RUNS sets the number of files, DLLM_FUZZ_SEED another series
// of them.
#include <time.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "allocation_meter.h"
#include "json_value.h"
#include "safetensors.h"
#include "safetensors_files.h"
#include "safetensors_mutations.h"

using namespace dllm;
using namespace dllm::safetensors_test;

namespace {

uint64_t environment_number(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::stoull(text) : otherwise;
}

// What a header must be once it is accepted, stated without the reader's code.
void check_promises(const SafetensorsHeader& header, const std::string& bytes) {
    uint64_t end = 8 + uint64_t(uint8_t(bytes[0]) | uint8_t(bytes[1]) << 8 | uint8_t(bytes[2]) << 16);
    CHECK(bytes[8] == '{');
    CHECK(header.by_name.size() == header.tensors.size());
    for (const TensorEntry& entry : header.tensors) {
        CHECK(entry.begin == end && entry.begin <= entry.end);
        end = entry.end;
        double elements = 1.0;
        for (const int64_t size : entry.shape) elements *= double(size);
        CHECK(elements * safetensors_dtype_bits(entry.dtype) == 8.0 * double(entry.end - entry.begin));
    }
    CHECK(end == bytes.size());
    for (size_t i = 1; i < header.by_name.size(); i++) {
        CHECK(header.tensors[header.by_name[i - 1]].name < header.tensors[header.by_name[i]].name);
    }
}

// The error of the call; empty if there was none. Any other exception than ERR_CHECKPOINT with the path ends the test.
template <class Function>
std::string typed_error(Function function, const std::string& path) {
    try {
        function();
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::checkpoint);
        CHECK(std::string_view(error.what()).starts_with(path + ": "));
        CHECK(std::string_view(error.what()).size() < path.size() + 600);
        return error.what();
    }
    return "";
}

double thread_seconds() {
    timespec now{};
    CHECK(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

// Opens the file as a user does; the error, or "".
std::string open_in_bounds(const std::string& path, size_t file_size) {
    constexpr size_t SLACK = 16 << 20;
    const double begin = thread_seconds();
    const test::AllocationMeter meter;
    const std::string error = typed_error([&] { SafetensorsFile file(path); }, path);
    CHECK(meter.peak() <= file_size + SLACK);
    CHECK(thread_seconds() - begin < 1);
    return error;
}

void check_file(const std::string& path, const std::string& bytes, const SafetensorsHeader& header) {
    const SafetensorsFile file(path);
    CHECK(file.metadata == header.metadata && file.tensors().size() == header.tensors.size());
    for (const TensorEntry& entry : file.tensors()) {
        CHECK(file.find(entry.name) == &entry);
        const size_t size = entry.end - entry.begin;
        CHECK(size == 0 || std::memcmp(file.data(entry), bytes.data() + entry.begin, size) == 0);
        const bool readable = entry.dtype == "F32" || entry.dtype == "F16" || entry.dtype == "BF16";
        std::vector<float> values(readable ? size / size_t(safetensors_dtype_bits(entry.dtype) / 8) : 0);
        const std::string error = typed_error([&] { file.read_f32(entry, values.data()); }, path);
        CHECK(error.empty() == readable);
    }
}

void check_rewrite(const std::string& path, const std::string& copy) {
    const SafetensorsFile file(path);
    std::vector<TensorSource> sources;
    for (const TensorEntry& entry : file.tensors())
        sources.push_back({entry.name, entry.dtype, entry.shape, file.data(entry)});
    write_safetensors(copy, sources, file.metadata);
    const SafetensorsFile again(copy);
    CHECK(again.metadata == file.metadata && again.tensors().size() == sources.size());
    for (const TensorEntry& entry : file.tensors()) {
        const TensorEntry* found = again.find(entry.name);
        CHECK(found && found->dtype == entry.dtype && found->shape == entry.shape);
        CHECK(found->end - found->begin == entry.end - entry.begin);
        CHECK(std::memcmp(again.data(*found), file.data(entry), entry.end - entry.begin) == 0);
    }
}

}  // namespace

TEST(safetensors_reader_holds_against_mutated_files) {
    const uint64_t runs = environment_number("DLLM_FUZZ_RUNS", 10'000), seed = environment_number("DLLM_FUZZ_SEED", 1);
    const ScratchFolder folder;
    const std::string path = folder / "x";
    uint64_t accepted = 0, refused = 0;
    for (uint64_t run = 0; run < runs; run++) {
        Random random(seed, run);
        Draft draft = valid_draft(random);
        const size_t structural = random.below(4), raw = random.chance(2) ? 0 : random.below(4);
        for (size_t i = 0; i < structural; i++) mutate_draft(draft, random);
        std::string bytes = to_bytes(draft);
        for (size_t i = 0; i < raw; i++) mutate_bytes(bytes, random);

        const std::unique_ptr<char[]> exact(new char[bytes.size()]);  // a read past the end is seen by the sanitizer
        std::memcpy(exact.get(), bytes.data(), bytes.size());
        SafetensorsHeader header;
        const std::string error = typed_error(
            [&] { header = parse_safetensors_header(std::as_bytes(std::span(exact.get(), bytes.size())), path); },
            path);
        CHECK(structural + raw > 0 || error.empty());
        write_file(path, bytes);
        CHECK(open_in_bounds(path, bytes.size()) == error);
        if (!error.empty()) {
            refused++;
            continue;
        }
        check_promises(header, bytes);
        check_file(path, bytes, header);
        // A second parser must agree that what was accepted is JSON without repeated keys.
        const std::string text =
            bytes.substr(8, header.tensors.empty() ? std::string::npos : header.tensors[0].begin - 8);
        parse_json(text, path);
        if (accepted++ % 64 == 0) check_rewrite(path, folder / "y");
    }
    CHECK(runs < 1000 || (accepted > runs / 10 && refused > runs / 10));  // else the mutations prove nothing
}
