// Where programs are not ELF files, a function is named by its address.
#include "symbol_name.h"

#include <sstream>

namespace dllm::emulated {

std::string symbol_name(const void* function) {
    std::ostringstream text;
    text << "at " << function;
    return text.str();
}

}  // namespace dllm::emulated
