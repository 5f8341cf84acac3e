// Recordings: see recordings.h.
#include "recordings.h"

#include <algorithm>

namespace dllm {

void Recordings::run(const std::vector<int64_t>& key, const std::function<void()>& ops) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
    if (found != entries_.end()) {
        std::rotate(found, found + 1, entries_.end());
    } else {
        if (entries_.size() == MOST) entries_.erase(entries_.begin());
        entries_.push_back({key, backend_.make_recording()});
    }
    entries_.back().recording->run(ops);
}

}  // namespace dllm
