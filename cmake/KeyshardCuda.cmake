# keyshard_cuda: what only a CUDA device has, from the sources *_cuda.cpp of all folders; without a toolkit one source that says so.
set(KEYSHARD_CUDA AUTO CACHE STRING "Build for CUDA devices: AUTO (where the toolkit and NCCL are found), ON or OFF")
set(KEYSHARD_CUDA_ARCH 90 CACHE STRING "Architectures of the CUDA devices: 80, 90, 100, or a list of them")
option(KEYSHARD_CUDA_USAGE "Print the registers and the spilled bytes of every kernel" OFF)

set(KEYSHARD_WITH_CUDA FALSE)
if(NOT KEYSHARD_CUDA STREQUAL "OFF")
  find_program(KEYSHARD_NVCC nvcc HINTS /usr/local/cuda/bin)
  get_filename_component(toolkit "${KEYSHARD_NVCC}" REALPATH)
  get_filename_component(toolkit "${toolkit}" DIRECTORY)
  find_path(KEYSHARD_nccl_INCLUDE nccl.h HINTS ${toolkit}/../include)
  find_library(KEYSHARD_nccl_LIBRARY nccl HINTS ${toolkit}/../lib64)
  set(version 0)
  if(KEYSHARD_NVCC)
    execute_process(COMMAND ${KEYSHARD_NVCC} --version OUTPUT_VARIABLE version ERROR_QUIET)
    string(REGEX REPLACE ".*release ([0-9.]+).*" "\\1" version "${version}")
  endif()
  if(version VERSION_GREATER_EQUAL 13.0 AND KEYSHARD_nccl_INCLUDE AND KEYSHARD_nccl_LIBRARY)
    set(KEYSHARD_WITH_CUDA TRUE)
  elseif(KEYSHARD_CUDA STREQUAL "ON")
    message(FATAL_ERROR "KEYSHARD_CUDA = ON: expected nvcc 13.0, nccl.h and libnccl: found ${KEYSHARD_NVCC} ${version}, ${KEYSHARD_nccl_INCLUDE}, "
      "${KEYSHARD_nccl_LIBRARY}")
  endif()
endif()

if(NOT KEYSHARD_WITH_CUDA)
  if(KEYSHARD_CUDA STREQUAL "AUTO")
    message(STATUS "the program runs on CPUs, for it needs nvcc 13.0, nccl.h and libnccl: found ${KEYSHARD_NVCC} ${version}, "
      "${KEYSHARD_nccl_INCLUDE}, ${KEYSHARD_nccl_LIBRARY}")
  endif()
  add_library(keyshard_cuda STATIC
    ${PROJECT_SOURCE_DIR}/launch/training/cuda_absent.cpp ${PROJECT_SOURCE_DIR}/launch/bench/cuda_absent.cpp)
  target_link_libraries(keyshard_cuda PUBLIC keyshard::training PRIVATE $<BUILD_INTERFACE:keyshard_private_flags>)
  set_target_properties(keyshard_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_options(keyshard_cuda PRIVATE ${cold_options})
  target_precompile_headers(keyshard_cuda REUSE_FROM keyshard_precompiled)
  return()
endif()

# CMake 3.25 does not know how nvcc is asked for C++20.
set(CMAKE_CUDA_COMPILER ${KEYSHARD_NVCC})
set(CMAKE_CUDA_ARCHITECTURES ${KEYSHARD_CUDA_ARCH})
enable_language(CUDA)
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
find_package(CUDAToolkit REQUIRED)

# Sources with kernels, for nvcc.
set(kernels
  runtime/cub_cuda.cpp collectives/exchange_cuda.cpp collectives/folded_sum_cuda.cpp embedding/rows/dedup_cuda.cpp
  embedding/rows/key_index_cuda.cpp embedding/rows/row_store_cuda.cpp embedding/rows/table_cuda.cpp embedding/lookup/lookup_cuda.cpp
  embedding/layers/layers_cuda.cpp launch/training/dense_side_cuda.cpp launch/training/trainer_cuda.cpp
  launch/bench/limits_cuda.cpp)
list(TRANSFORM kernels PREPEND ${PROJECT_SOURCE_DIR}/)
set_source_files_properties(${kernels} PROPERTIES LANGUAGE CUDA)
set(calls
  runtime/memory_pool_cuda.cpp runtime/pinned_memory_cuda.cpp runtime/stream_cuda.cpp collectives/nccl_communicator.cpp collectives/staged_communicator.cpp
  launch/training/models/gemm_cuda.cpp launch/training/training_cuda.cpp)
list(TRANSFORM calls PREPEND ${PROJECT_SOURCE_DIR}/)

add_library(keyshard_cuda STATIC ${kernels} ${calls})
set_target_properties(keyshard_cuda PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON)
target_include_directories(keyshard_cuda SYSTEM PRIVATE ${KEYSHARD_nccl_INCLUDE})
# Under nvcc, fmt 9 makes only some functions constexpr unless FMT_USE_CONSTEXPR is set. Without --fmad=false sums would have other
# bits than on a CPU.
target_compile_options(keyshard_cuda PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:--fmad=false;--expt-relaxed-constexpr;-DFMT_USE_CONSTEXPR=1>"
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${KEYSHARD_CUDA_USAGE}>>:-Xptxas=-v>
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${KEYSHARD_WERROR}>>:-Werror=all-warnings>)
target_link_libraries(keyshard_cuda
  PUBLIC keyshard::training
  PRIVATE $<BUILD_INTERFACE:keyshard_private_flags> CUDA::cudart_static CUDA::cublas ${KEYSHARD_nccl_LIBRARY})

# The measures of a device belong to the program, for they are made of its benchmark.
set(bench ${PROJECT_SOURCE_DIR}/launch/bench/bench_cuda.cpp)
target_sources(keyshard_launch PRIVATE ${bench})
set_source_files_properties(${bench} TARGET_DIRECTORY keyshard_launch PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
