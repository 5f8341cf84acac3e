// No instructions for bfloat16: the processor family has none that are used here, or the compiler does not know them.
#include "../kernels.h"

namespace dllm {

const std::vector<Bfloat16Path>& bfloat16_paths() {
    static const std::vector<Bfloat16Path> none;
    return none;
}

}  // namespace dllm
