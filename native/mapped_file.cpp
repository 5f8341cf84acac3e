// A regular file mapped read-only into memory.
#include "mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace dllm {
namespace {

// Keeps the descriptor only until the mapping exists.
struct Descriptor {
    int fd;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

int open_for_reading(const char* path) {
    int fd;
    do fd = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not block the open
    while (fd < 0 && errno == EINTR);
    return fd;
}

}  // namespace

MappedFile::MappedFile(const std::string& path, ErrorCode code) : path_(path) {
    const auto fail_with_errno = [&](const char* action) {
        fail(code, path + ": cannot " + action + ": " + std::generic_category().message(errno));
    };
    const Descriptor file{open_for_reading(path.c_str())};
    if (file.fd < 0) fail_with_errno("open");
    struct stat status {};
    if (::fstat(file.fd, &status) != 0) fail_with_errno("read its size");
    if (S_ISDIR(status.st_mode)) fail(code, path + ": is a folder, expected a file");
    if (!S_ISREG(status.st_mode)) fail(code, path + ": is not a regular file");
    if (status.st_size == 0) return;  // an empty range cannot be mapped
    void* mapped = ::mmap(nullptr, size_t(status.st_size), PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (mapped == MAP_FAILED) fail_with_errno("map");
    data_ = static_cast<const std::byte*>(mapped);
    size_ = size_t(status.st_size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace dllm
