# keyshard_cuda: what only a CUDA device has, from the sources *_cuda.cpp of all folders; without a toolkit one source that says so.
set(KEYSHARD_CUDA OFF CACHE STRING "Build for CUDA devices: AUTO (where the toolkit and NCCL are found), ON or OFF")
set(KEYSHARD_CUDA_ARCH 90 CACHE STRING "Architectures of the CUDA devices: 80, 90, 100, or a list of them")

set(cuda_found FALSE)
if(NOT KEYSHARD_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  find_program(KEYSHARD_NVCC nvcc HINTS /usr/local/cuda/bin)
  find_path(KEYSHARD_nccl_INCLUDE nccl.h HINTS /usr/local/cuda/include)
  find_library(KEYSHARD_nccl_LIBRARY nccl HINTS /usr/local/cuda/lib64)
  if(KEYSHARD_NVCC AND KEYSHARD_nccl_INCLUDE AND KEYSHARD_nccl_LIBRARY)
    set(cuda_found TRUE)
  elseif(KEYSHARD_CUDA STREQUAL "ON")
    message(FATAL_ERROR "KEYSHARD_CUDA = ON: expected nvcc, nccl.h and libnccl: found \"${KEYSHARD_NVCC}\", "
      "\"${KEYSHARD_nccl_INCLUDE}\", \"${KEYSHARD_nccl_LIBRARY}\"")
  endif()
endif()

if(NOT cuda_found)
  message(STATUS "no CUDA toolkit: the program runs on CPUs")
  add_library(keyshard_cuda STATIC ${PROJECT_SOURCE_DIR}/launch/training/cuda_absent.cpp)
  target_link_libraries(keyshard_cuda PUBLIC keyshard::training PRIVATE $<BUILD_INTERFACE:keyshard_private_flags>)
endif()
