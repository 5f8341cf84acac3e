// One sequence of ops in several shapes: a recording for each.
#pragma once

#include "backend.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace dllm {

class Recordings {
public:
    explicit Recordings(Backend& backend) : backend_(backend) {}

    // Runs the ops by the recording of this key. Equal keys must mean equal ops.
    void run(const std::vector<int64_t>& key, const std::function<void()>& ops);

private:
    // Those of a run of training are numbers of weighted rows, and of sequences where a step has parts; lengths drawn
    // at random rarely come back.
    static constexpr size_t MOST = 32;

    struct Entry {
        std::vector<int64_t> key;
        std::unique_ptr<Recording> recording;
    };

    Backend& backend_;
    std::vector<Entry> entries_;  // the last one is the last used
};

}  // namespace dllm
