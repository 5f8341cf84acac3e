# The Node addon. The headers of Node-API are no concern of our warnings, so they are system headers.
if(NOT CMAKE_JS_INC)
    message(FATAL_ERROR "The addon is built through cmake-js: run `npm run build`, or configure with -DDLLM_ADDON=OFF.")
endif()

file(GLOB binding_sources CONFIGURE_DEPENDS native/bindings/*.cpp)
add_library(dllm_native MODULE ${binding_sources} ${CMAKE_JS_SRC})
set_target_properties(dllm_native PROPERTIES PREFIX "" SUFFIX ".node")
target_include_directories(dllm_native PRIVATE "${CMAKE_BINARY_DIR}/generated")
target_include_directories(dllm_native SYSTEM PRIVATE ${CMAKE_JS_INC})
target_compile_definitions(dllm_native PRIVATE
    NAPI_VERSION=8
    NODE_ADDON_API_CPP_EXCEPTIONS
    NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS   # else ending a worker thread while native code reports to it aborts the process
)
target_link_libraries(dllm_native PRIVATE dllm_core ${CMAKE_JS_LIB})
if(APPLE)
    target_link_options(dllm_native PRIVATE -undefined dynamic_lookup)
endif()
