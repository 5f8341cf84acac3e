// An environment variable that has another value, or none, for a while.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>

namespace dllm {

class EnvironmentSetting {
public:
    // Null: none.
    EnvironmentSetting(const char* name, const char* value) : name_(name) {
        if (const char* old = std::getenv(name)) old_ = old;
        set(value);
    }
    ~EnvironmentSetting() { set(old_ ? old_->c_str() : nullptr); }
    EnvironmentSetting(const EnvironmentSetting&) = delete;
    EnvironmentSetting& operator=(const EnvironmentSetting&) = delete;

private:
    void set(const char* value) {
        if (value != nullptr) {
            setenv(name_, value, 1);
        } else {
            unsetenv(name_);
        }
    }

    const char* name_;
    std::optional<std::string> old_;
};

}  // namespace dllm
