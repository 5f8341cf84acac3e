// Preloaded into a process: counts the calls that change files below a folder, and makes one of them fail or stop
// short.
//
// It is told what to do by opening a path; what is opened holds the log of the calls since the last one, a line each:
//   /@faults/below/FOLDER     watch this folder
//   /@faults/fail/N/ERROR     call N, counted from 0, does nothing and fails with this error number
//   /@faults/short/N          call N, a write, takes half of the bytes
//   /@faults/full/N           from call N on, whatever takes space fails for lack of it
//   /@faults/keep             nothing can be removed
//   /@faults/none             nothing fails
// Flushing is counted and not done: tests of order need no disk, and are faster without.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

namespace {

struct File {
    std::string path;
    bool is_written;
};

enum class Mode { none, fail, shorten, full, keep };

struct State {
    std::mutex mutex;
    std::string folder;
    std::map<int, File> files;
    std::string log;
    Mode mode = Mode::none;
    long calls = 0;
    long target = -1;
    int error = 0;
};

// Never destroyed: files are closed until the process ends.
State& state() {
    static State* const instance = new State;
    return *instance;
}

template <typename Function>
Function real(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool is_watched(const std::string& path) {
    const std::string& folder = state().folder;
    return !folder.empty() && path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

struct Verdict {
    int error = 0;
    bool is_short = false;
};

// Counts one call, under the lock, and says what becomes of it.
Verdict count(const char* kind, const std::string& path, bool takes_space) {
    State& s = state();
    const long index = s.calls++;
    s.log += kind + (" " + path) + "\n";
    if (s.mode == Mode::fail && index == s.target) return {s.error, false};
    if (s.mode == Mode::shorten && index == s.target) return {0, true};
    if (s.mode == Mode::full && index >= s.target && takes_space) return {ENOSPC, false};
    return {};
}

int fail(int error) {
    errno = error;
    return -1;
}

int open_log() {
    State& s = state();
    const int fd = memfd_create("faults", MFD_CLOEXEC);
    if (fd < 0) return fd;
    const auto write = real<ssize_t (*)(int, const void*, size_t)>("write");
    for (size_t at = 0; at < s.log.size();) {
        const ssize_t written = write(fd, s.log.data() + at, s.log.size() - at);
        if (written <= 0) return fail(EIO);
        at += size_t(written);
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

int command(const char* text) {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    char folder[4096];
    long target = -1;
    int error = 0;
    Mode mode = Mode::none;
    if (std::sscanf(text, "below%4095s", folder) == 1)
        s.folder = folder;
    else if (std::sscanf(text, "fail/%ld/%d", &target, &error) == 2)
        mode = Mode::fail;
    else if (std::sscanf(text, "short/%ld", &target) == 1)
        mode = Mode::shorten;
    else if (std::sscanf(text, "full/%ld", &target) == 1)
        mode = Mode::full;
    else if (std::strcmp(text, "keep") == 0)
        mode = Mode::keep;
    else if (std::strcmp(text, "none") != 0)
        return fail(EINVAL);
    const int fd = open_log();
    s.log.clear();
    s.calls = 0;
    s.mode = mode;
    s.target = target;
    s.error = error;
    return fd;
}

int open_file(const char* name, int folder_fd, const char* path, int flags, mode_t mode) {
    static const char prefix[] = "/@faults/";
    if (std::strncmp(path, prefix, sizeof prefix - 1) == 0) return command(path + sizeof prefix - 1);
    State& s = state();
    const std::lock_guard lock(s.mutex);
    const bool watched = is_watched(path);
    if (watched && (flags & O_CREAT)) {
        const Verdict verdict = count("create", path, true);
        if (verdict.error) return fail(verdict.error);
    }
    const int fd = real<int (*)(int, const char*, int, ...)>(name)(folder_fd, path, flags, mode);
    if (fd >= 0 && watched) s.files[fd] = {path, (flags & O_ACCMODE) != O_RDONLY};
    return fd;
}

mode_t mode_of(int flags, va_list arguments) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0; }

// Writes to a watched file: `call` gets how many bytes of the whole it may take.
template <typename Call>
ssize_t write_file(int fd, size_t bytes, Call call) {
    State& s = state();
    Verdict verdict;
    {
        const std::lock_guard lock(s.mutex);
        const auto file = s.files.find(fd);
        if (file != s.files.end()) verdict = count("write", file->second.path, true);
    }
    if (verdict.error) return fail(verdict.error);
    return call(verdict.is_short ? (bytes + 1) / 2 : bytes);
}

size_t total(const iovec* parts, int number) {
    size_t bytes = 0;
    for (int i = 0; i < number; i++) bytes += parts[i].iov_len;
    return bytes;
}

int flush(const char* name, int fd) {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    const auto file = s.files.find(fd);
    if (file == s.files.end()) return real<int (*)(int)>(name)(fd);
    const Verdict verdict = count("sync", file->second.path, false);
    return verdict.error ? fail(verdict.error) : 0;
}

int remove_path(const char* name, const char* path) {
    {
        State& s = state();
        const std::lock_guard lock(s.mutex);
        if (s.mode == Mode::keep && is_watched(path)) return fail(EROFS);
    }
    return real<int (*)(const char*)>(name)(path);
}

// Only what was written is counted: closing it can report an error of writing. The descriptor is gone in any case.
template <typename Call>
int close_file(int fd, Call call) {
    Verdict verdict;
    {
        State& s = state();
        const std::lock_guard lock(s.mutex);
        const auto file = s.files.find(fd);
        if (file != s.files.end()) {
            if (file->second.is_written) verdict = count("close", file->second.path, false);
            s.files.erase(file);
        }
    }
    const int result = call();
    return verdict.error ? fail(verdict.error) : result;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file("openat", AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file("openat64", AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file("openat", folder, path, flags, mode);
}

int openat64(int folder, const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file("openat64", folder, path, flags, mode);
}

ssize_t write(int fd, const void* data, size_t bytes) {
    return write_file(fd, bytes, [&](size_t allowed) {
        return real<ssize_t (*)(int, const void*, size_t)>("write")(fd, data, allowed);
    });
}

ssize_t pwrite64(int fd, const void* data, size_t bytes, off64_t offset) {
    return write_file(fd, bytes, [&](size_t allowed) {
        return real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64")(fd, data, allowed, offset);
    });
}

ssize_t pwrite(int fd, const void* data, size_t bytes, off_t offset) { return pwrite64(fd, data, bytes, offset); }

// A short one takes a part of the first piece.
ssize_t writev(int fd, const iovec* parts, int number) {
    return write_file(fd, total(parts, number), [&](size_t allowed) {
        if (allowed == total(parts, number))
            return real<ssize_t (*)(int, const iovec*, int)>("writev")(fd, parts, number);
        return real<ssize_t (*)(int, const void*, size_t)>("write")(fd, parts[0].iov_base, (parts[0].iov_len + 1) / 2);
    });
}

ssize_t pwritev64(int fd, const iovec* parts, int number, off64_t offset) {
    return write_file(fd, total(parts, number), [&](size_t allowed) {
        if (allowed == total(parts, number)) {
            return real<ssize_t (*)(int, const iovec*, int, off64_t)>("pwritev64")(fd, parts, number, offset);
        }
        return real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64")(fd, parts[0].iov_base,
                                                                                (parts[0].iov_len + 1) / 2, offset);
    });
}

ssize_t pwritev(int fd, const iovec* parts, int number, off_t offset) { return pwritev64(fd, parts, number, offset); }

int fsync(int fd) { return flush("fsync", fd); }

int fdatasync(int fd) { return flush("fdatasync", fd); }

int rename(const char* from, const char* to) {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    if (is_watched(to)) {
        const Verdict verdict = count("rename", from + (" " + std::string(to)), false);
        if (verdict.error) return fail(verdict.error);
    }
    return real<int (*)(const char*, const char*)>("rename")(from, to);
}

int mkdir(const char* path, mode_t mode) {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    if (is_watched(path)) {
        const Verdict verdict = count("mkdir", path, true);
        if (verdict.error) return fail(verdict.error);
    }
    return real<int (*)(const char*, mode_t)>("mkdir")(path, mode);
}

int unlink(const char* path) { return remove_path("unlink", path); }

int rmdir(const char* path) { return remove_path("rmdir", path); }

int close(int fd) {
    return close_file(fd, [&] { return real<int (*)(int)>("close")(fd); });
}

// Node closes its files this way.
long syscall(long number, ...) {
    va_list arguments;
    va_start(arguments, number);
    long values[6];
    for (long& value : values) value = va_arg(arguments, long);
    va_end(arguments);
    const auto call = [&] {
        const auto [a, b, c, d, e, f] = values;
        return real<long (*)(long, ...)>("syscall")(number, a, b, c, d, e, f);
    };
    return number == SYS_close ? close_file(int(values[0]), [&] { return int(call()); }) : call();
}

}  // extern "C"
