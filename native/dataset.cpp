// Dataset: see dataset.h.
#include "dataset.h"

#include "error.h"

#include <atomic>
#include <cstring>

namespace dllm {
namespace {

uint64_t next_id() {
    static std::atomic<uint64_t> last = 0;
    return ++last;
}

}  // namespace

Dataset::Dataset(const std::string& path, int token_bytes)
    : name_(path), file_(std::in_place, path, ErrorCode::data), token_bytes_(token_bytes),
      size_(int64_t(file_->bytes().size()) / token_bytes), id_(next_id()) {
    if (file_->bytes().size() % size_t(token_bytes) != 0)
        fail(ErrorCode::data, path + " has " + std::to_string(file_->bytes().size()) +
                                  " bytes; accepted: a multiple of " + std::to_string(token_bytes));
}

Dataset::Dataset(std::vector<int32_t> tokens)
    : name_("the dataset"), tokens_(std::move(tokens)), token_bytes_(4), size_(int64_t(tokens_.size())),
      id_(next_id()) {}

void Dataset::read(int64_t begin, int64_t length, int64_t vocab_size, int32_t* out) const {
    if (begin < 0 || length < 0 || begin > size_ - length)
        fail(ErrorCode::data, name_ + " has " + std::to_string(size_) + " tokens; a window of " +
                                  std::to_string(length) + " at " + std::to_string(begin) + " does not fit");
    for (int64_t i = 0; i < length; i++) {
        int64_t token;
        if (!file_) {
            token = tokens_[size_t(begin + i)];
        } else if (token_bytes_ == 2) {
            uint16_t value;
            std::memcpy(&value, file_->bytes().data() + (begin + i) * 2, sizeof value);
            token = value;
        } else {
            uint32_t value;
            std::memcpy(&value, file_->bytes().data() + (begin + i) * 4, sizeof value);
            token = value;
        }
        if (token < 0 || token >= vocab_size)
            fail(ErrorCode::data, name_ + ": token " + std::to_string(begin + i) + " is " + std::to_string(token) +
                                      "; the model's vocabulary accepts 0 to " + std::to_string(vocab_size - 1));
        out[i] = int32_t(token);
    }
}

}  // namespace dllm
