// The safetensors writer: one pass over the tensors, every system call checked.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <limits>
#include <numeric>
#include <system_error>
#include <utility>

#include "json.h"
#include "safetensors.h"
#include "utf8.h"

namespace dllm {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor data is written as it lies in memory");

// The file being written. Unless it is committed, it is removed again.
class OutputFile {
public:
    explicit OutputFile(const std::string& path);
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;
    ~OutputFile() {
        if (fd_ >= 0) remove();
    }

    void write(const void* data, uint64_t size);
    void commit();

private:
    [[noreturn]] void abandon(const char* action);
    std::string remove();

    std::string path_;
    int fd_ = -1;
};

std::string system_reason(int error) { return std::generic_category().message(error); }

OutputFile::OutputFile(const std::string& path) : path_(path) {
    do fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
    while (fd_ < 0 && errno == EINTR);
    if (fd_ < 0) fail(ErrorCode::checkpoint, path + ": cannot create: " + system_reason(errno));
    struct stat status {};
    const bool known = ::fstat(fd_, &status) == 0;
    if (known && S_ISREG(status.st_mode)) return;
    const std::string rule = known ? "is not a regular file" : "cannot read its kind: " + system_reason(errno);
    ::close(std::exchange(fd_, -1));  // without removing it: it may be a device
    fail(ErrorCode::checkpoint, path + ": " + rule);
}

void OutputFile::write(const void* data, uint64_t size) {
    constexpr uint64_t MAX_CALL = 1 << 30;  // some systems refuse calls of 2 GiB and more
    const char* next = static_cast<const char*>(data);
    while (size > 0) {
        const ssize_t written = ::write(fd_, next, size_t(std::min(size, MAX_CALL)));
        if (written < 0 && errno == EINTR) continue;
        if (written == 0) errno = ENOSPC;  // no progress and no reason given: do not try for ever
        if (written <= 0) abandon("write");
        next += written;
        size -= uint64_t(written);
    }
}

void OutputFile::commit() {
    int result;
    do result = ::fsync(fd_);
    while (result != 0 && errno == EINTR);
    if (result != 0) abandon("flush to disk");
    // After EINTR the descriptor is closed and the data is already safe on disk.
    if (::close(std::exchange(fd_, -1)) != 0 && errno != EINTR) abandon("close");
}

void OutputFile::abandon(const char* action) {
    const std::string reason = system_reason(errno);
    fail(ErrorCode::checkpoint, path_ + ": cannot " + action + ": " + reason + remove());
}

// Empties the file first, so that nothing that looks complete stays behind even if it cannot be removed.
std::string OutputFile::remove() {
    bool emptied = false;
    if (fd_ >= 0) {
        emptied = ::ftruncate(fd_, 0) == 0;
        ::close(std::exchange(fd_, -1));
    }
    if (::unlink(path_.c_str()) == 0 || errno == ENOENT) return "";
    return std::string("; the ") + (emptied ? "emptied" : "incomplete") + " file is left: " + system_reason(errno);
}

struct Plan {
    std::vector<size_t> order;    // of the tensors in the file
    std::vector<uint64_t> bytes;  // of each tensor, in the caller's order
};

Plan plan_tensors(const std::string& path, std::span<const TensorSource> tensors) {
    const auto reject = [&](const std::string& rule) { fail(ErrorCode::checkpoint, path + ": " + rule); };
    if (tensors.size() > SAFETENSORS_MAX_TENSORS) {
        reject("cannot hold " + std::to_string(tensors.size()) + " tensors, at most " +
               std::to_string(SAFETENSORS_MAX_TENSORS));
    }
    Plan plan;
    uint64_t total = 0;
    for (const TensorSource& tensor : tensors) {
        if (!is_utf8(tensor.name)) reject("the name of tensor " + std::to_string(plan.bytes.size()) + " is not UTF-8");
        const std::string label = "tensor " + json_quote(tensor.name, 100);
        if (tensor.name == "__metadata__") reject(label + ": the name is reserved");
        const uint64_t bytes = safetensors_tensor_bytes(tensor.dtype, tensor.shape, path + ": " + label);
        if (bytes > 0 && !tensor.data) reject(label + ": has no data");
        if (bytes > uint64_t(std::numeric_limits<int64_t>::max()) - total)
            reject(label + ": the file would be too large");
        total += bytes;
        plan.bytes.push_back(bytes);
    }

    plan.order.resize(tensors.size());
    std::iota(plan.order.begin(), plan.order.end(), size_t(0));
    std::sort(plan.order.begin(), plan.order.end(),
              [&](size_t a, size_t b) { return tensors[a].name < tensors[b].name; });
    const auto twice = std::adjacent_find(plan.order.begin(), plan.order.end(),
                                          [&](size_t a, size_t b) { return tensors[a].name == tensors[b].name; });
    if (twice != plan.order.end()) reject("tensor " + json_quote(tensors[*twice].name, 100) + ": given twice");

    const auto bits = [&](size_t index) { return safetensors_dtype_bits(tensors[index].dtype); };
    std::sort(plan.order.begin(), plan.order.end(),
              [&](size_t a, size_t b) { return bits(a) != bits(b) ? bits(a) > bits(b) : a < b; });
    return plan;
}

// {"__metadata__":{...},"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},...}, padded to 8 bytes
std::string header_json(const std::string& path, std::span<const TensorSource> tensors, const Plan& plan,
                        const std::map<std::string, std::string>& metadata) {
    if (metadata.size() > SAFETENSORS_MAX_METADATA) {
        fail(ErrorCode::checkpoint, path + ": __metadata__: at most " + std::to_string(SAFETENSORS_MAX_METADATA) +
                                        " entries, given " + std::to_string(metadata.size()));
    }
    std::string json = "{";
    for (const auto& [key, value] : metadata) {
        if (!is_utf8(key) || !is_utf8(value)) fail(ErrorCode::checkpoint, path + ": __metadata__: not UTF-8");
        json += (json.size() == 1 ? "\"__metadata__\":{" : ",") + json_quote(key) + ":" + json_quote(value);
    }
    if (!metadata.empty()) json += "}";
    uint64_t offset = 0;
    for (const size_t index : plan.order) {
        const TensorSource& tensor = tensors[index];
        if (json.size() > 1) json += ",";
        json += json_quote(tensor.name) + ":{\"dtype\":\"" + tensor.dtype + "\",\"shape\":[";
        for (size_t axis = 0; axis < tensor.shape.size(); axis++) {
            json += (axis > 0 ? "," : "") + std::to_string(tensor.shape[axis]);
        }
        json += "],\"data_offsets\":[" + std::to_string(offset) + ",";
        offset += plan.bytes[index];
        json += std::to_string(offset) + "]}";
    }
    json += "}";
    json.append((8 - json.size() % 8) % 8, ' ');
    if (json.size() > SAFETENSORS_MAX_HEADER) {
        fail(ErrorCode::checkpoint, path + ": the header would take " + std::to_string(json.size()) +
                                        " bytes, at most " + std::to_string(SAFETENSORS_MAX_HEADER));
    }
    return json;
}

}  // namespace

void write_safetensors(const std::string& path, std::span<const TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata) {
    const Plan plan = plan_tensors(path, tensors);
    const std::string header = header_json(path, tensors, plan, metadata);
    const uint64_t header_bytes = header.size();
    OutputFile file(path);
    file.write(&header_bytes, sizeof header_bytes);
    file.write(header.data(), header.size());
    for (const size_t index : plan.order) file.write(tensors[index].data, plan.bytes[index]);
    file.commit();
}

}  // namespace dllm
