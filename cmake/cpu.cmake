# Chooses the instruction-set files of the CPU backend: DLLM_CPU_PATHS (best first), DLLM_CPU_BFLOAT16 (for people) and
# DLLM_CPU_SOURCES.
if(CMAKE_OSX_ARCHITECTURES)
    set(processor "${CMAKE_OSX_ARCHITECTURES}")
else()
    set(processor "${CMAKE_SYSTEM_PROCESSOR}")
endif()

if(processor MATCHES "^(x86_64|amd64|AMD64)$")
    set(DLLM_CPU_PATHS avx512 avx2 portable)
    set(path_list paths_x86)
elseif(processor MATCHES "^(arm64|aarch64|ARM64)$")
    set(DLLM_CPU_PATHS neon portable)
    set(path_list paths_arm)
else()
    message(FATAL_ERROR "dllm-native knows x86-64 and arm64 processors, found \"${processor}\".")
endif()

# Products in bfloat16 have instructions of their own where compiler and assembler know them and Linux hands out the
# matrix tiles.
set(bfloat16_list bfloat16_none)
set(DLLM_CPU_BFLOAT16 "rounding")
if(path_list STREQUAL "paths_x86" AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
    include(CheckCXXSourceCompiles)
    set(CMAKE_REQUIRED_FLAGS "-mavx512f -mavx512bf16 -mamx-tile -mamx-bf16")
    check_cxx_source_compiles("
        #include <immintrin.h>
        int main() {
            _tile_dpbf16ps(0, 1, 2);
            const __m512 sums = _mm512_dpbf16_ps(_mm512_setzero_ps(), __m512bh{}, __m512bh{});
            return int(_mm512_cvtss_f32(sums));
        }" DLLM_KNOWS_AMX)
    unset(CMAKE_REQUIRED_FLAGS)
    if(DLLM_KNOWS_AMX)
        set(bfloat16_list bfloat16_x86)
        set(DLLM_CPU_BFLOAT16 "amx, avx512_bf16 or rounding")
    endif()
endif()

set(isa native/cpu/isa)
set(DLLM_CPU_SOURCES ${isa}/${path_list}.cpp ${isa}/${bfloat16_list}.cpp)
foreach(path IN LISTS DLLM_CPU_PATHS)
    list(APPEND DLLM_CPU_SOURCES ${isa}/${path}.cpp)
endforeach()

set(avx2_flags -mavx2 -mfma)
set(avx512_flags -mavx512f -mavx512bw -mavx512dq -mavx512vl ${avx2_flags})
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    list(APPEND avx512_flags -Wno-maybe-uninitialized)   # GCC bug 105593: a false alarm in its own AVX-512 header
endif()
set_source_files_properties(${isa}/avx2.cpp PROPERTIES COMPILE_OPTIONS "${avx2_flags}")
set_source_files_properties(${isa}/avx512.cpp PROPERTIES COMPILE_OPTIONS "${avx512_flags}")
if(bfloat16_list STREQUAL "bfloat16_x86")
    list(APPEND DLLM_CPU_SOURCES ${isa}/amx.cpp ${isa}/avx512_bf16.cpp)
    set_source_files_properties(${isa}/avx512_bf16.cpp PROPERTIES COMPILE_OPTIONS "${avx512_flags};-mavx512bf16")
    set_source_files_properties(${isa}/amx.cpp PROPERTIES
        COMPILE_OPTIONS "${avx512_flags};-mavx512bf16;-mamx-tile;-mamx-bf16")
endif()
