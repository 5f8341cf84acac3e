// Launching an attention kernel.
#pragma once

#include "../tensor.h"
#include "attention_task.h"
#include "context.h"

#include <type_traits>

namespace dllm::cuda {

// On blocks of `rows` rows of each of so many heads.
template <class... Parameters, class... Arguments>
void launch_blocks(const char* name, void (*kernel)(Parameters...), int64_t heads, int64_t length, int64_t rows,
                   int threads, size_t shared_bytes, cudaStream_t stream, const Arguments&... arguments) {
    const int64_t blocks = heads * ceil_div(length, rows);
    if (blocks == 0) return;
    check(launch(kernel, dim3(unsigned(blocks)), dim3(unsigned(threads)), shared_bytes, stream, arguments...), name);
}

// call(count) with how many times MAP_TILE queries a block takes: 2 where that leaves blocks enough for so many
// multiprocessors, of which each holds `resident` of them, since keys are then read half as often; else 1. A row's bits
// do not depend on it.
template <class Call>
void dispatch_query_tiles(const AttentionTask& task, int64_t heads, int64_t resident, const Call& call) {
    const bool fills = heads * ceil_div(task.query_length, 2 * MAP_TILE) >= resident;
    if (task.query_length > MAP_TILE && fills) {
        call(std::integral_constant<int, 2>{});
    } else {
        call(std::integral_constant<int, 1>{});
    }
}

}  // namespace dllm::cuda
