// The name of a function, for messages. The build chooses symbol_name_elf.cpp or symbol_name_none.cpp.
#pragma once

#include <string>

namespace dllm::emulated {

std::string symbol_name(const void* function);

}  // namespace dllm::emulated
