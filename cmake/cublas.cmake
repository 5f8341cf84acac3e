# Finds cuBLASLt of the same major version as nvcc: DLLM_CUBLAS_INCLUDE and DLLM_CUBLAS_LIBRARY (cached), or why there is
# none. Places, in this order: CUBLAS_ROOT, the toolkit, the system, and the `nvidia-cublas` wheel of the Python that
# python3 starts, which has only versioned libraries. Header and library come from one place.

# The folders in which that Python's wheels lie.
function(dllm_python_wheels folders major)
    find_program(DLLM_PYTHON NAMES python3 python)
    mark_as_advanced(DLLM_PYTHON)
    set(${folders} "" PARENT_SCOPE)
    if(NOT DLLM_PYTHON)
        return()
    endif()
    execute_process(
        COMMAND "${DLLM_PYTHON}" -c "import sys; print(';'.join(p for p in sys.path if p.endswith('-packages')))"
        OUTPUT_VARIABLE paths OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
    if(failed)
        return()
    endif()
    set(found "")
    foreach(path IN LISTS paths)
        list(APPEND found "${path}/nvidia/cu${major}" "${path}/nvidia/cublas")
    endforeach()
    set(${folders} "${found}" PARENT_SCOPE)
endfunction()

# major: nvcc's. Returns in `missing` why there is none, or nothing.
function(dllm_find_cublas major missing)
    set(${missing} "" PARENT_SCOPE)
    if(EXISTS "${DLLM_CUBLAS_INCLUDE}/cublasLt.h" AND EXISTS "${DLLM_CUBLAS_LIBRARY}")
        return()   # found by an earlier run
    endif()

    dllm_python_wheels(wheels ${major})
    set(roots "$ENV{CUBLAS_ROOT}" "${CUDAToolkit_TARGET_DIR}" "${CUDAToolkit_LIBRARY_ROOT}" /usr/local /usr ${wheels})
    set(other "")
    foreach(root IN LISTS roots)
        if(root STREQUAL "")
            continue()
        endif()
        unset(header_folder CACHE)
        unset(library CACHE)
        find_path(header_folder cublasLt.h PATHS "${root}" PATH_SUFFIXES include NO_DEFAULT_PATH)
        find_library(library NAMES "libcublasLt.so.${major}" cublasLt PATHS "${root}"
            PATH_SUFFIXES lib64 lib "lib/${CMAKE_LIBRARY_ARCHITECTURE}" NO_DEFAULT_PATH)
        if(header_folder AND library)
            file(STRINGS "${header_folder}/cublas_api.h" version REGEX "define +CUBLAS_VER_MAJOR")
            string(REGEX MATCH "[0-9]+" version "${version}")
            if(version STREQUAL major)
                set(DLLM_CUBLAS_INCLUDE "${header_folder}" CACHE PATH "Folder of cublasLt.h" FORCE)
                set(DLLM_CUBLAS_LIBRARY "${library}" CACHE FILEPATH "The library cublasLt" FORCE)
                break()
            endif()
            set(other "; that of ${root} is version ${version}")
        endif()
    endforeach()
    unset(header_folder CACHE)
    unset(library CACHE)

    if(NOT DLLM_CUBLAS_LIBRARY)
        set(${missing} "cuBLAS ${major} not found${other}; install it (with pip: nvidia-cublas), or set CUBLAS_ROOT to the folder that has include/cublasLt.h and lib" PARENT_SCOPE)
    endif()
endfunction()
