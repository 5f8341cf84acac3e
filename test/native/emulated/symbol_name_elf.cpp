// Looks a function up in the symbol table of the ELF file that holds it: kernels are local to their files, so the
// dynamic linker does not know them.
#include "symbol_name.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace dllm::emulated {

namespace {

// A file in memory, or nothing if it cannot be read.
class MappedFile {
public:
    explicit MappedFile(const char* path) {
        const int file = open(path, O_RDONLY | O_CLOEXEC);
        struct stat facts {};
        if (file >= 0 && fstat(file, &facts) == 0) {
            void* data = mmap(nullptr, size_t(facts.st_size), PROT_READ, MAP_PRIVATE, file, 0);
            if (data != MAP_FAILED) {
                data_ = static_cast<const char*>(data);
                bytes_ = size_t(facts.st_size);
            }
        }
        if (file >= 0) close(file);
    }
    ~MappedFile() {
        if (data_ != nullptr) munmap(const_cast<char*>(data_), bytes_);
    }
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    const char* data() const { return data_; }
    size_t bytes() const { return bytes_; }

private:
    const char* data_ = nullptr;
    size_t bytes_ = 0;
};

// The name of the function at this address of a file that was loaded at `base`, or nothing.
std::string find_symbol(const MappedFile& file, uint64_t address, uint64_t base) {
    if (file.bytes() < sizeof(Elf64_Ehdr)) return "";
    const auto* header = reinterpret_cast<const Elf64_Ehdr*>(file.data());
    if (header->e_type != ET_EXEC) address -= base;  // symbols count from where the file is loaded
    const auto* sections = reinterpret_cast<const Elf64_Shdr*>(file.data() + header->e_shoff);
    for (int i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        const char* names = file.data() + sections[sections[i].sh_link].sh_offset;
        const auto* symbols = reinterpret_cast<const Elf64_Sym*>(file.data() + sections[i].sh_offset);
        for (size_t s = 0; s < sections[i].sh_size / sizeof(Elf64_Sym); s++) {
            const bool is_function = ELF64_ST_TYPE(symbols[s].st_info) == STT_FUNC;
            if (is_function && symbols[s].st_value == address) return names + symbols[s].st_name;
        }
    }
    return "";
}

std::string demangle(const std::string& name) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                                      &std::free);
    return status == 0 ? text.get() : name;
}

}  // namespace

std::string symbol_name(const void* function) {
    Dl_info file;
    if (dladdr(function, &file) == 0) return "of unknown name";
    const auto address = reinterpret_cast<uintptr_t>(function), base = reinterpret_cast<uintptr_t>(file.dli_fbase);
    std::string name = find_symbol(MappedFile(file.dli_fname), address, base);
    // The path with which a program was started may be relative to another folder.
    if (name.empty()) name = find_symbol(MappedFile("/proc/self/exe"), address, base);
    return name.empty() ? "of unknown name" : demangle(name);
}

}  // namespace dllm::emulated
