# Says in one line what was found, and leaves the same facts, one key=value a line, for scripts/build.mjs.
set(compiler "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
string(REPLACE ";" " " cpu_paths "${DLLM_CPU_PATHS}")
if(DLLM_CUDA_ENABLED)
    set(cuda "on")
else()
    set(cuda "off")
endif()

set(cuda_text "${cuda} (${DLLM_CUDA_REASON})")
if(DLLM_CUDA_ENABLED)
    string(APPEND cuda_text " for ${DLLM_CUDA_ARCHITECTURE_TEXT}")
endif()
message(STATUS "dllm-native: compiler ${compiler}, CPU paths ${cpu_paths}, bfloat16 by ${DLLM_CPU_BFLOAT16}, CUDA: ${cuda_text}")
file(WRITE "${CMAKE_BINARY_DIR}/build-facts.txt"
    "compiler=${compiler}\ncpuPaths=${cpu_paths}\ncuda=${cuda}\ncudaReason=${DLLM_CUDA_REASON}\ncudaArchitectures=${DLLM_CUDA_ARCHITECTURE_TEXT}\n")
