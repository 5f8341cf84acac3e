# Decides whether the CUDA module can be built: DLLM_CUDA_ENABLED, and DLLM_CUDA_REASON (what was found, or why not).
# nvcc is looked for in CUDACXX, CUDA_HOME, CUDA_PATH, PATH and /usr/local/cuda; cuBLAS in CUBLAS_ROOT and the toolkit.
string(TOLOWER "${DLLM_CUDA}" cuda_wanted)
if(NOT cuda_wanted MATCHES "^(auto|on|off)$")
    message(FATAL_ERROR "DLLM_CUDA must be auto, on or off, got \"${DLLM_CUDA}\".")
endif()

# Returns in `missing` what the module lacks, or nothing; also returns DLLM_NVCC and the DLLM_CUBLAS paths (cached).
function(dllm_find_cuda missing)
    find_program(DLLM_NVCC NAMES $ENV{CUDACXX} nvcc
        HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
    if(NOT DLLM_NVCC)
        set(${missing} "nvcc not found; set CUDACXX to its path" PARENT_SCOPE)
        return()
    endif()

    # check_language calls an nvcc that refuses the host compiler absent, so the two are told apart here
    include(CheckLanguage)
    set(ENV{CUDACXX} "${DLLM_NVCC}")
    check_language(CUDA)
    if(NOT CMAKE_CUDA_COMPILER)
        set(${missing} "${DLLM_NVCC} does not compile; CUDAHOSTCXX can name a host compiler it accepts" PARENT_SCOPE)
        return()
    endif()

    find_package(CUDAToolkit QUIET)
    find_path(DLLM_CUBLAS_INCLUDE cublasLt.h
        HINTS ENV CUBLAS_ROOT ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
    find_library(DLLM_CUBLAS_LIBRARY NAMES cublasLt libcublasLt.so.13 libcublasLt.so.12
        HINTS ENV CUBLAS_ROOT ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib64 lib)
    if(NOT DLLM_CUBLAS_INCLUDE OR NOT DLLM_CUBLAS_LIBRARY)
        set(${missing} "cuBLAS not found; set CUBLAS_ROOT to the folder that holds include/cublasLt.h and lib" PARENT_SCOPE)
    endif()
endfunction()

set(DLLM_CUDA_ENABLED OFF)
set(DLLM_CUDA_REASON "")
if(cuda_wanted STREQUAL "off")
    set(DLLM_CUDA_REASON "DLLM_CUDA=off")
elseif(NOT EXISTS "${CMAKE_SOURCE_DIR}/cmake/cuda_module.cmake")
    set(DLLM_CUDA_REASON "no CUDA module in this tree")
else()
    dllm_find_cuda(DLLM_CUDA_REASON)
endif()

if(NOT DLLM_CUDA_REASON)
    set(DLLM_CUDA_ENABLED ON)
    set(DLLM_CUDA_REASON "nvcc ${DLLM_NVCC}, cuBLAS ${DLLM_CUBLAS_LIBRARY}")
    include("${CMAKE_SOURCE_DIR}/cmake/cuda_module.cmake")
elseif(cuda_wanted STREQUAL "on")
    message(FATAL_ERROR "DLLM_CUDA=on, but the CUDA module cannot be built: ${DLLM_CUDA_REASON}.")
endif()
