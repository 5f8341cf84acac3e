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

file(GLOB cuda_module_sources CONFIGURE_DEPENDS native/cuda/*.cu)
add_library(dllm_cuda SHARED ${cuda_module_sources})
set_target_properties(dllm_cuda PROPERTIES
    CUDA_ARCHITECTURES "${cuda_architectures}"
    CUDA_STANDARD 20
    CUDA_STANDARD_REQUIRED ON
    CUDA_EXTENSIONS OFF
    CUDA_RUNTIME_LIBRARY Static
    CUDA_VISIBILITY_PRESET hidden)
target_include_directories(dllm_cuda PRIVATE native native/cuda/hardware "${CMAKE_BINARY_DIR}/generated")
target_include_directories(dllm_cuda SYSTEM PRIVATE "${DLLM_CUBLAS_INCLUDE}")
target_compile_options(dllm_cuda PRIVATE
    -fmad=false   # a fused multiply-add only where it is written, as on the host: both draw the same noise
    --expt-relaxed-constexpr
    "SHELL:-Xcompiler -Wall,-Wextra,-ffp-contract=off"
)
if(DLLM_FALSE_ALARMS)
    target_compile_options(dllm_cuda PRIVATE "SHELL:-Xcompiler ${DLLM_FALSE_ALARMS}")
endif()
if(DLLM_WERROR)
    target_compile_options(dllm_cuda PRIVATE "SHELL:-Werror all-warnings")
    # A kernel that spills its registers to memory is slower than meant: that is an error too.
    target_compile_options(dllm_cuda PRIVATE -Xptxas=--warn-on-spills)
endif()
# The library's folder becomes the module's run path: a wheel's is on no search path of the system.
target_link_libraries(dllm_cuda PRIVATE "${DLLM_CUBLAS_LIBRARY}")
target_link_options(dllm_cuda PRIVATE LINKER:--no-undefined LINKER:--exclude-libs,ALL)
