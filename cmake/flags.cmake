# What all our targets are compiled with. -O3 comes from CMake's Release build type.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

add_library(dllm_flags INTERFACE)
target_link_libraries(dllm_flags INTERFACE Threads::Threads)

set(cxx_flags
    -ffp-contract=off   # a fused multiply-add only where it is written, so that results do not depend on the compiler
    -fno-math-errno
    -Wall -Wextra -Wshadow -Wpedantic
    "-fmacro-prefix-map=${CMAKE_SOURCE_DIR}/="   # messages show paths inside the project
)
set(DLLM_FALSE_ALARMS "")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    set(DLLM_FALSE_ALARMS -Wno-restrict)   # GCC bug 105329: on std::string concatenation
endif()
list(APPEND cxx_flags ${DLLM_FALSE_ALARMS})
if(DLLM_WERROR)
    list(APPEND cxx_flags -Werror)
endif()

if(DLLM_SANITIZE)
    set(sanitize "-fsanitize=${DLLM_SANITIZE}")
    list(APPEND cxx_flags ${sanitize} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g -UNDEBUG
        -D_GLIBCXX_ASSERTIONS)
    target_link_options(dllm_flags INTERFACE ${sanitize})
endif()

target_compile_options(dllm_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${cxx_flags}>")
