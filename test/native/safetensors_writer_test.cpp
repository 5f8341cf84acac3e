// The safetensors writer: what it writes reads back the same, and no failed system call leaves a file behind.
#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "safetensors.h"
#include "safetensors_files.h"

using namespace dllm;
using namespace dllm::safetensors_test;

namespace {

// What the system calls of the writer do while a test injects faults.
struct Faults {
    bool active = false;
    int fail_at = 0;      // which write, from 1; 0: none
    int error = 0;        // errno of that write, 0: it writes only part
    int fsync_error = 0;  // every fsync if not EINTR, else the first
    int close_error = 0;
    bool keep_file = false;  // unlink fails
    int writes = 0, fsyncs = 0;
    bool written_after_fsync = false;
} faults;

template <class Function>
Function* next_symbol(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

// These stand before the functions of the C library, for the whole test program.
extern "C" ssize_t write(int fd, const void* data, size_t size) {
    static auto* const next = next_symbol<ssize_t(int, const void*, size_t)>("write");
    if (faults.active) {
        faults.written_after_fsync = faults.fsyncs > 0;
        if (++faults.writes == faults.fail_at) {
            errno = faults.error;
            return faults.error != 0 ? -1 : next(fd, data, (size + 1) / 2);
        }
    }
    return next(fd, data, size);
}

extern "C" int fsync(int fd) {
    static auto* const next = next_symbol<int(int)>("fsync");
    if (faults.active) {
        faults.fsyncs++;
        errno = faults.fsync_error;
        if (faults.fsync_error != 0 && (faults.fsync_error != EINTR || faults.fsyncs == 1)) return -1;
    }
    return next(fd);
}

extern "C" int close(int fd) {
    static auto* const next = next_symbol<int(int)>("close");
    const int result = next(fd);
    if (!faults.active || faults.close_error == 0) return result;
    errno = faults.close_error;
    return -1;
}

extern "C" int unlink(const char* path) noexcept {
    static auto* const next = next_symbol<int(const char*)>("unlink");
    if (!faults.active || !faults.keep_file) return next(path);
    errno = EACCES;
    return -1;
}

namespace {

const float F32[] = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
const uint16_t BF16[] = {0x3F80, 0x4000, 0x4040};
const int64_t I64[] = {-7};
const uint8_t U8[] = {1, 2, 3, 4, 5};

const std::vector<TensorSource> SOURCES = {
    {"bytes", "U8", {5}, U8},       {"quote\" \\ \n \u00e9 \U0001F600", "BF16", {3}, BF16},
    {"matrix", "F32", {2, 3}, F32}, {"empty", "F32", {0, 4}, nullptr},
    {"scalar", "I64", {}, I64},     {"again", "F32", {3, 2}, F32},
};
const std::map<std::string, std::string> METADATA = {{"format", "pt"}, {"\"\t", "\x01\\"}, {"", ""}};

void check_holds_sources(const std::string& path) {
    const SafetensorsFile file(path);
    CHECK(file.metadata == METADATA);
    CHECK(file.tensors().size() == SOURCES.size());
    for (const TensorSource& source : SOURCES) {
        const TensorEntry* found = file.find(source.name);
        CHECK(found && found->dtype == source.dtype && found->shape == source.shape);
        const uint64_t bytes = safetensors_tensor_bytes(source.dtype, source.shape, "");
        CHECK(found->end - found->begin == bytes);
        CHECK(bytes == 0 || std::memcmp(file.data(*found), source.data, bytes) == 0);
    }
}

// Writes the sources under the given faults; the message of the error, or "" if there was none.
std::string write_with(const std::string& path, const Faults& wanted) {
    faults = wanted;
    faults.active = true;
    std::string message;
    try {
        write_safetensors(path, SOURCES, METADATA);
    } catch (const Error& error) {
        message = std::string(error_code_name(error.code())) + " " + error.what();
    }
    faults.active = false;
    return message;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST(safetensors_writer_is_read_back) {
    const ScratchFolder folder;
    write_safetensors(folder / "x", SOURCES, METADATA);
    check_holds_sources(folder / "x");
    write_safetensors(folder / "x", {}, {});  // replaces a longer file
    CHECK(read_file(folder / "x") == safetensors_bytes("{}      "));
    CHECK(SafetensorsFile(folder / "x").tensors().empty());
}

TEST(safetensors_writer_aligns_every_tensor) {
    const ScratchFolder folder;
    for (size_t length = 0; length < 8; length++) {
        write_safetensors(folder / "x", SOURCES, {{"pad", std::string(length, 'x')}});
        const SafetensorsFile file(folder / "x");
        const char* in_order[] = {"scalar", "matrix", "empty", "again"};  // falling element size, then the given order
        for (const char* name : in_order) CHECK(file.find(name)->begin % 4 == 0);
        CHECK(file.find("scalar")->begin % 8 == 0);
        CHECK(file.find("matrix")->end == file.find("again")->begin);
        CHECK(file.find(SOURCES[1].name)->begin % 2 == 0);
        CHECK(file.tensors().back().name == "bytes");
    }
}

TEST(safetensors_writer_rejects_bad_input_before_touching_the_file) {
    const ScratchFolder folder;
    const std::string path = folder / "x";
    write_file(path, "kept");
    const auto rejects = [&](const std::vector<TensorSource>& tensors, std::string_view rule) {
        check_throws([&] { write_safetensors(path, tensors, {}); }, ErrorCode::checkpoint, rule);
        check_throws([&] { write_safetensors(path, tensors, {}); }, ErrorCode::checkpoint, path + ": ");
        CHECK(read_file(path) == "kept");
    };
    rejects({{"a", "F33", {1}, F32}}, "tensor \"a\": unknown dtype \"F33\"");
    rejects({{"a", "F32", {2, -1}, F32}}, "tensor \"a\": shape has the negative dimension -1");
    rejects({{"a", "F32", std::vector<int64_t>(17, 1), F32}}, "more than 16 dimensions");
    rejects({{"a", "F32", {int64_t(1) << 40, int64_t(1) << 40}, F32}}, "overflows 64 bits");
    rejects({{"a", "U8", {0}, nullptr}, {"b", "U8", {1}, nullptr}}, "tensor \"b\": has no data");
    const int64_t largest = (int64_t(1) << 61) - 1;
    rejects({{"a", "U8", {largest}, U8},
             {"b", "U8", {largest}, U8},
             {"c", "U8", {largest}, U8},
             {"d", "U8", {largest}, U8},
             {"e", "U8", {largest}, U8}},
            "tensor \"e\": the file would be too large");
    rejects({{"a", "F4", {3}, U8}}, "do not fill whole bytes");
    rejects({{"a", "F32", {1}, F32}, {"b", "F32", {1}, F32}, {"a", "U8", {1}, U8}}, "tensor \"a\": given twice");
    rejects({{"__metadata__", "F32", {1}, F32}}, "the name is reserved");
    rejects({{"a", "F32", {1}, F32}, {"\xff", "F32", {1}, F32}}, "the name of tensor 1 is not UTF-8");
    rejects(std::vector<TensorSource>(SAFETENSORS_MAX_TENSORS + 1, {"a", "U8", {0}, nullptr}), "at most 65536");

    const auto rejects_metadata = [&](const std::map<std::string, std::string>& metadata, std::string_view rule) {
        check_throws([&] { write_safetensors(path, SOURCES, metadata); }, ErrorCode::checkpoint, rule);
        CHECK(read_file(path) == "kept");
    };
    rejects_metadata({{"a", "\xc3"}}, "not UTF-8");
    rejects_metadata({{"\xed\xa0\x80", ""}}, "not UTF-8");
    std::map<std::string, std::string> many;
    for (size_t i = 0; i <= SAFETENSORS_MAX_METADATA; i++) many[std::to_string(i)] = "";
    rejects_metadata(many, "at most 4096 entries, given 4097");
    rejects_metadata({{"a", std::string(SAFETENSORS_MAX_HEADER / 6, '\x01')}},
                     "the header would take 100000");  // \u0001 each
}

TEST(safetensors_writer_names_why_it_cannot_create_the_file) {
    const ScratchFolder folder;
    check_throws([&] { write_safetensors(folder / "no/x", SOURCES, {}); }, ErrorCode::checkpoint,
                 "no/x: cannot create: No such file");
    check_throws([&] { write_safetensors(folder / "", SOURCES, {}); }, ErrorCode::checkpoint, "Is a directory");
    check_throws([&] { write_safetensors("/dev/null", SOURCES, {}); }, ErrorCode::checkpoint, "is not a regular file");
    CHECK(std::filesystem::exists("/dev/null"));
}

TEST(safetensors_writer_survives_short_and_interrupted_writes) {
    const ScratchFolder folder;
    CHECK(write_with(folder / "x", {}) == "");
    const int calls = faults.writes;
    CHECK(calls == 7);  // length, header and the five tensors with elements
    for (const int error : {0, EINTR}) {
        for (int call = 1; call <= calls; call++) {
            CHECK(write_with(folder / "x", {.fail_at = call, .error = error}) == "");
            CHECK(faults.writes == calls + 1);
            check_holds_sources(folder / "x");
        }
    }
    CHECK(write_with(folder / "x", {.fsync_error = EINTR, .close_error = EINTR}) == "");
    CHECK(faults.fsyncs == 2);
    check_holds_sources(folder / "x");
}

TEST(safetensors_writer_syncs_after_the_last_write) {
    const ScratchFolder folder;
    CHECK(write_with(folder / "x", {}) == "");
    CHECK(faults.fsyncs == 1 && !faults.written_after_fsync);
}

TEST(safetensors_writer_removes_the_file_when_a_call_fails) {
    const ScratchFolder folder;
    const std::string path = folder / "x";
    for (const auto& [error, reason] :
         {std::pair(ENOSPC, "No space left on device"), {EIO, "Input/output error"}, {EDQUOT, "quota"}}) {
        for (int call = 1; call <= 7; call++) {
            const std::string message = write_with(path, {.fail_at = call, .error = error});
            CHECK(contains(message, "ERR_CHECKPOINT " + path + ": cannot write: ") && contains(message, reason));
            CHECK(!std::filesystem::exists(path));
        }
        CHECK(contains(write_with(path, {.fsync_error = error}), "cannot flush to disk: "));
        CHECK(!std::filesystem::exists(path));
        CHECK(contains(write_with(path, {.close_error = error}), "cannot close: "));
        CHECK(!std::filesystem::exists(path));
    }
}

TEST(safetensors_writer_empties_a_file_it_cannot_remove) {
    const ScratchFolder folder;
    const std::string message = write_with(folder / "x", {.fsync_error = EIO, .keep_file = true});
    CHECK(contains(message, "cannot flush to disk: Input/output error; the emptied file is left: Permission denied"));
    CHECK(read_file(folder / "x").empty());
    check_throws([&] { SafetensorsFile(folder / "x"); }, ErrorCode::checkpoint, "the file has 0 bytes");
}
