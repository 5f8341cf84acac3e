// How much memory the code under test holds at most, counted by the test program's own operator new.
#pragma once

#include <cstddef>

namespace dllm::test {

// Counts from its construction on; one at a time.
class AllocationMeter {
public:
    AllocationMeter();
    // Largest number of bytes held at once beyond those held at the start.
    size_t peak() const;

private:
    size_t begin_;
};

}  // namespace dllm::test
