// The one exception type of the native core. Its code becomes the `code` of the JavaScript error.
#pragma once

#include <stdexcept>
#include <string>

namespace dllm {

enum class ErrorCode { config, checkpoint, data, tokenizer, out_of_memory, device, disposed, aborted, native };

inline const char* error_code_name(ErrorCode code) {
    switch (code) {
        case ErrorCode::config: return "ERR_CONFIG";
        case ErrorCode::checkpoint: return "ERR_CHECKPOINT";
        case ErrorCode::data: return "ERR_DATA";
        case ErrorCode::tokenizer: return "ERR_TOKENIZER";
        case ErrorCode::out_of_memory: return "ERR_OUT_OF_MEMORY";
        case ErrorCode::device: return "ERR_DEVICE";
        case ErrorCode::disposed: return "ERR_DISPOSED";
        case ErrorCode::aborted: return "ERR_ABORTED";
        case ErrorCode::native: break;
    }
    return "ERR_NATIVE";
}

class Error : public std::runtime_error {
public:
    Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

    ErrorCode code() const noexcept { return code_; }

private:
    ErrorCode code_;
};

[[noreturn]] inline void fail(ErrorCode code, const std::string& message) { throw Error(code, message); }

}  // namespace dllm
