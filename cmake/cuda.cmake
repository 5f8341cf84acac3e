# Decides whether the CUDA module can be built: DLLM_CUDA_ENABLED, and DLLM_CUDA_REASON (what was found, or why not).
# nvcc is looked for in CUDACXX, CUDA_HOME, CUDA_PATH, PATH and /usr/local/cuda; for cuBLAS see cublas.cmake.
include(cmake/cublas.cmake)

string(TOLOWER "${DLLM_CUDA}" cuda_wanted)
if(NOT cuda_wanted MATCHES "^(auto|on|off)$")
    message(FATAL_ERROR "DLLM_CUDA must be auto, on or off, got \"${DLLM_CUDA}\".")
endif()

# Returns in `missing` what the module lacks, or nothing; also DLLM_NVCC (cached) and DLLM_NVCC_VERSION.
function(dllm_find_cuda missing)
    find_program(DLLM_NVCC NAMES $ENV{CUDACXX} nvcc
        HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
    if(NOT DLLM_NVCC)
        set(${missing} "nvcc not found; set CUDACXX to its path" PARENT_SCOPE)
        return()
    endif()

    execute_process(COMMAND "${DLLM_NVCC}" --version OUTPUT_VARIABLE version ERROR_QUIET)
    if(NOT version MATCHES "release ([0-9]+)\\.([0-9]+)")
        set(${missing} "${DLLM_NVCC} does not run" PARENT_SCOPE)
        return()
    endif()
    set(major "${CMAKE_MATCH_1}")
    set(version "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}")
    set(DLLM_NVCC_VERSION "${version}" PARENT_SCOPE)
    if(version VERSION_LESS 12.4)
        set(${missing} "${DLLM_NVCC} is of CUDA ${version}; 12.4 or newer is needed" PARENT_SCOPE)
        return()
    endif()

    # check_language calls an nvcc that refuses the host compiler absent, so the two are told apart here
    include(CheckLanguage)
    set(ENV{CUDACXX} "${DLLM_NVCC}")
    check_language(CUDA)
    if(NOT CMAKE_CUDA_COMPILER)
        set(${missing} "${DLLM_NVCC} does not compile with ${CMAKE_CUDA_HOST_COMPILER}; CUDAHOSTCXX can name a host compiler it accepts"
            PARENT_SCOPE)
        return()
    endif()

    find_package(CUDAToolkit QUIET)
    dllm_find_cublas(${major} cublas_missing)
    set(${missing} "${cublas_missing}" PARENT_SCOPE)
endfunction()

set(DLLM_CUDA_ENABLED OFF)
set(DLLM_CUDA_REASON "")
set(DLLM_CUDA_ARCHITECTURES "")
if(cuda_wanted STREQUAL "off")
    set(DLLM_CUDA_REASON "DLLM_CUDA=off")
elseif(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
    set(DLLM_CUDA_REASON "CUDA is supported on Linux only")
else()
    # The compiler of all else, so that standard library and exceptions are the same, unless another one is named.
    if(NOT CMAKE_CUDA_HOST_COMPILER)
        if(DEFINED ENV{CUDAHOSTCXX})
            set(CMAKE_CUDA_HOST_COMPILER "$ENV{CUDAHOSTCXX}")
        else()
            set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
        endif()
    endif()
    dllm_find_cuda(DLLM_CUDA_REASON)
endif()

if(NOT DLLM_CUDA_REASON)
    set(DLLM_CUDA_ENABLED ON)
    set(DLLM_CUDA_REASON "nvcc ${DLLM_NVCC} of CUDA ${DLLM_NVCC_VERSION}, cuBLAS ${DLLM_CUBLAS_LIBRARY}")
    include(cmake/cuda_architectures.cmake)
elseif(cuda_wanted STREQUAL "on")
    message(FATAL_ERROR "DLLM_CUDA=on, but the CUDA module cannot be built: ${DLLM_CUDA_REASON}.")
endif()

# What the addon and the module are told about this build.
string(REGEX REPLACE "([\\\\\"])" "\\\\\\1" DLLM_CUDA_REASON_ESCAPED "${DLLM_CUDA_REASON}")
list(JOIN DLLM_CUDA_ARCHITECTURES " " DLLM_CUDA_ARCHITECTURE_TEXT)
if(DLLM_CUDA_ENABLED)
    set(DLLM_CUDA_BUILT true)
else()
    set(DLLM_CUDA_BUILT false)
endif()
configure_file(cmake/build_id.h.in generated/build_id.h @ONLY)

if(DLLM_CUDA_ENABLED)
    include(cmake/cuda_module.cmake)
endif()
