// The thread limit as it was, restored at the end of a test.
#pragma once

#include "thread_pool.h"

namespace dllm {

class ThreadLimit {
public:
    ThreadLimit() : saved_(thread_limit()) {}
    ~ThreadLimit() { set_thread_limit(saved_); }
    ThreadLimit(const ThreadLimit&) = delete;
    ThreadLimit& operator=(const ThreadLimit&) = delete;

private:
    const int saved_;
};

}  // namespace dllm
