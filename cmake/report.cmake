# Says in one line what was found, and leaves the same facts, one key=value a line, for scripts/build.mjs.
set(compiler "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
string(REPLACE ";" " " cpu_paths "${DLLM_CPU_PATHS}")
if(DLLM_CUDA_ENABLED)
    set(cuda "on")
else()
    set(cuda "off")
endif()

message(STATUS "dllm-native: compiler ${compiler}, CPU paths ${cpu_paths}, bfloat16 by ${DLLM_CPU_BFLOAT16}, CUDA: ${cuda} (${DLLM_CUDA_REASON})")
file(WRITE "${CMAKE_BINARY_DIR}/build-facts.txt"
    "compiler=${compiler}\ncpuPaths=${cpu_paths}\ncuda=${cuda}\ncudaReason=${DLLM_CUDA_REASON}\n")
