# The program whose kernels have faults, to try compute-sanitizer on. Made on request, as the CUDA module is compiled.
add_executable(dllm_planted_faults EXCLUDE_FROM_ALL test/native/planted_faults.cu)
set_target_properties(dllm_planted_faults PROPERTIES
    CUDA_ARCHITECTURES "${cuda_architectures}"
    CUDA_STANDARD 20
    CUDA_STANDARD_REQUIRED ON
    CUDA_EXTENSIONS OFF
    CUDA_RUNTIME_LIBRARY Static)
target_include_directories(dllm_planted_faults PRIVATE native/cuda/hardware)
target_compile_options(dllm_planted_faults PRIVATE --expt-relaxed-constexpr)
