// How often tests of rare events repeat: DLLM_TEST_FACTOR times as often as usual, which may be a fraction.
#pragma once

#include <algorithm>
#include <cstdlib>

namespace dllm {

inline int repeats(int usual) {
    const char* factor = std::getenv("DLLM_TEST_FACTOR");
    return factor == nullptr ? usual : std::max(1, int(usual * std::atof(factor)));
}

}  // namespace dllm
