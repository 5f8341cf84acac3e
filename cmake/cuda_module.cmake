# The CUDA module libdllm_cuda.so, a library of its own so that the addon runs where CUDA is absent. cuda.cmake has found
# nvcc and cuBLAS.
enable_language(CUDA)
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)   # CMake 3.25 does not know that nvcc takes it
endif()

list(LENGTH DLLM_CUDA_ARCHITECTURES count)
math(EXPR last "${count} - 1")
list(GET DLLM_CUDA_ARCHITECTURES ${last} newest)
set(cuda_architectures ${DLLM_CUDA_ARCHITECTURES})
list(REMOVE_AT cuda_architectures ${last})
list(TRANSFORM cuda_architectures APPEND "-real")
list(APPEND cuda_architectures ${newest})   # its code and its PTX

# What every target of CUDA sources is compiled with.
function(dllm_compile_cuda target)
    set_target_properties(${target} PROPERTIES
        CUDA_STANDARD 20
        CUDA_STANDARD_REQUIRED ON
        CUDA_EXTENSIONS OFF
        CUDA_RUNTIME_LIBRARY Static
        CUDA_VISIBILITY_PRESET hidden
        POSITION_INDEPENDENT_CODE ON)
    target_include_directories(${target} PRIVATE native native/cuda/hardware "${CMAKE_BINARY_DIR}/generated")
    target_include_directories(${target} SYSTEM PRIVATE "${DLLM_CUBLAS_INCLUDE}")
    target_compile_options(${target} PRIVATE
        -fmad=false   # a fused multiply-add only where it is written, as on the host: both draw the same noise
        --expt-relaxed-constexpr
        "SHELL:-Xcompiler -Wall,-Wextra,-ffp-contract=off"
    )
    if(DLLM_FALSE_ALARMS)
        target_compile_options(${target} PRIVATE "SHELL:-Xcompiler ${DLLM_FALSE_ALARMS}")
    endif()
    if(DLLM_WERROR)
        target_compile_options(${target} PRIVATE "SHELL:-Werror all-warnings")
        # A kernel that spills its registers to memory is slower than meant: that is an error too.
        target_compile_options(${target} PRIVATE -Xptxas=--warn-on-spills)
    endif()
endfunction()

file(GLOB cuda_module_sources CONFIGURE_DEPENDS native/cuda/*.cu)
add_library(dllm_cuda SHARED ${cuda_module_sources})
set_target_properties(dllm_cuda PROPERTIES CUDA_ARCHITECTURES "${cuda_architectures}")
dllm_compile_cuda(dllm_cuda)

# Kernels that use what only compute capability 9.0 has: code for sm_90a, which no other device runs. The option itself,
# since not every CMake knows an architecture with a letter.
if(90 IN_LIST DLLM_CUDA_ARCHITECTURES)
    file(GLOB sm90a_sources CONFIGURE_DEPENDS native/cuda/sm90a/*.cu)
    add_library(dllm_cuda_sm90a OBJECT ${sm90a_sources})
    set_target_properties(dllm_cuda_sm90a PROPERTIES CUDA_ARCHITECTURES OFF)
    dllm_compile_cuda(dllm_cuda_sm90a)
    target_compile_options(dllm_cuda_sm90a PRIVATE --generate-code=arch=compute_90a,code=sm_90a)
    target_compile_definitions(dllm_cuda_sm90a PUBLIC DLLM_SM90A=1)
    target_link_libraries(dllm_cuda PRIVATE dllm_cuda_sm90a)
else()
    target_compile_definitions(dllm_cuda PRIVATE DLLM_SM90A=0)
endif()
# The library's folder becomes the module's run path: a wheel's is on no search path of the system.
target_link_libraries(dllm_cuda PRIVATE "${DLLM_CUBLAS_LIBRARY}")
target_link_options(dllm_cuda PRIVATE LINKER:--no-undefined LINKER:--exclude-libs,ALL)
