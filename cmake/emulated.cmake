# The emulated GPU, for the native tests: the CUDA sources compiled by the host compiler, the emulation that they run on,
# and its own tests.
set(emulated test/native/emulated)
file(GLOB emulated_sources CONFIGURE_DEPENDS ${emulated}/*.cpp)
list(FILTER emulated_sources EXCLUDE REGEX "/(context_switch|sanitizer|symbol_name)_[a-z0-9_]+\\.cpp$")

if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND processor MATCHES "^(x86_64|amd64|AMD64)$")
    list(APPEND emulated_sources ${emulated}/context_switch_x86_64.cpp)
else()
    list(APPEND emulated_sources ${emulated}/context_switch_ucontext.cpp)
endif()
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    list(APPEND emulated_sources ${emulated}/symbol_name_elf.cpp)
else()
    list(APPEND emulated_sources ${emulated}/symbol_name_none.cpp)
endif()
if(DLLM_SANITIZE MATCHES "(address|thread)")
    list(APPEND emulated_sources ${emulated}/sanitizer_${CMAKE_MATCH_1}.cpp)
else()
    list(APPEND emulated_sources ${emulated}/sanitizer_none.cpp)
endif()

# Fused multiply-adds are calls into libm unless the processor's instruction may be used. The tests run
# where they are built.
set(DLLM_HOST_FMA "")
if(path_list STREQUAL "paths_x86")
    include(CheckCXXSourceRuns)
    check_cxx_source_runs("int main() { return __builtin_cpu_supports(\"avx2\") && __builtin_cpu_supports(\"fma\") ? 0 : 1; }"
        DLLM_HOST_HAS_FMA)
    if(DLLM_HOST_HAS_FMA)
        set(DLLM_HOST_FMA -mavx2 -mfma)
    endif()
endif()

set(emulated_tests ${emulated_sources})
list(FILTER emulated_tests INCLUDE REGEX "_test\\.cpp$")
list(FILTER emulated_sources EXCLUDE REGEX "_test\\.cpp$")

add_library(dllm_emulated OBJECT ${emulated_sources})
target_include_directories(dllm_emulated PUBLIC ${emulated}/include PRIVATE test/native)
target_compile_options(dllm_emulated PRIVATE ${DLLM_HOST_FMA})
target_link_libraries(dllm_emulated PUBLIC dllm_core ${CMAKE_DL_LIBS})
target_link_libraries(dllm_tests PRIVATE dllm_emulated)
add_library(dllm_emulated_tests OBJECT ${emulated_tests})
target_include_directories(dllm_emulated_tests PRIVATE test/native)
target_compile_options(dllm_emulated_tests PRIVATE ${DLLM_HOST_FMA})
target_link_libraries(dllm_emulated_tests PUBLIC dllm_emulated)
target_link_libraries(dllm_tests PRIVATE dllm_emulated_tests)

# A C++ source around each CUDA source, since the CUDA module compiles the same files as CUDA. The module's own entry is
# no part of this. A static library, so that only what a test uses is linked.
file(GLOB cuda_sources CONFIGURE_DEPENDS native/cuda/*.cu native/cuda/sm90a/*.cu)
list(FILTER cuda_sources EXCLUDE REGEX "/module\\.cu$")
set(wrappers "")
foreach(source IN LISTS cuda_sources)
    file(RELATIVE_PATH name "${CMAKE_SOURCE_DIR}/native/cuda" "${source}")
    string(REGEX REPLACE "\\.cu$" "" name "${name}")
    file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/emulated/${name}.cpp" CONTENT "#include \"${source}\"\n")
    list(APPEND wrappers "${CMAKE_BINARY_DIR}/emulated/${name}.cpp")
endforeach()
if(wrappers)
    add_library(dllm_emulated_cuda STATIC ${wrappers})
    target_include_directories(dllm_emulated_cuda PRIVATE ${emulated}/include)
    target_compile_definitions(dllm_emulated_cuda PRIVATE DLLM_SM90A=1)
    target_compile_options(dllm_emulated_cuda PRIVATE
        -Wno-unknown-pragmas    # those for nvcc, such as unroll
        # Kernels move packs of elements as one uint4, which nvcc allows; for C++ that is an object of another type.
        # A memcpy in its place would lose the alignment, and so the wide load of the GPU.
        -fno-strict-aliasing
        ${DLLM_HOST_FMA})
    target_link_libraries(dllm_emulated_cuda PUBLIC dllm_core)
    target_link_libraries(dllm_tests PRIVATE dllm_emulated_cuda)

    # The same as a module, for trying on any machine what opens one and needs a GPU: DLLM_CUDA_MODULE names its file. Made
    # on request. The emulated GPU is of architecture 80.
    function(dllm_add_emulated_module)
        set(folder "${CMAKE_BINARY_DIR}/emulated/module")
        set(DLLM_CUDA_ARCHITECTURE_TEXT "80")
        configure_file(cmake/build_id.h.in "${folder}/build_id.h" @ONLY)
        set(entry "${CMAKE_SOURCE_DIR}/native/cuda/module.cu")
        file(CONFIGURE OUTPUT "${folder}/module.cpp" CONTENT "#include \"${entry}\"\n")
        add_library(dllm_emulated_module SHARED EXCLUDE_FROM_ALL "${folder}/module.cpp" $<TARGET_OBJECTS:dllm_emulated>)
        set_target_properties(dllm_emulated_module PROPERTIES
            OUTPUT_NAME dllm_cuda
            LIBRARY_OUTPUT_DIRECTORY "${folder}")
        target_include_directories(dllm_emulated_module PRIVATE "${folder}" ${emulated}/include)
        target_compile_options(dllm_emulated_module PRIVATE ${DLLM_HOST_FMA})
        target_link_libraries(dllm_emulated_module PRIVATE dllm_emulated_cuda dllm_core)
        if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
            target_link_options(dllm_emulated_module PRIVATE LINKER:--no-undefined LINKER:--exclude-libs,ALL)
        endif()
    endfunction()
    dllm_add_emulated_module()
endif()
