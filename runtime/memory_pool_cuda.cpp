#include <algorithm>
#include <cstdint>
#include <limits>

#include "runtime/cuda_call.hpp"
#include "runtime/memory_pool.hpp"

namespace keyshard {

template <>
void* map_memory<Cuda>(std::size_t bytes) {
  void* block = nullptr;
  check_cuda(cudaMalloc(&block, bytes), "cudaMalloc");
  return block;
}

template <>
void unmap_memory<Cuda>(void* block, std::size_t /*bytes*/) noexcept {
  cudaFree(block);
}

template <>
void* map_host_memory<Cuda>(std::size_t bytes) {
  void* block = nullptr;
  check_cuda(cudaMallocHost(&block, bytes), "cudaMallocHost");
  return block;
}

template <>
void unmap_host_memory<Cuda>(void* block, std::size_t /*bytes*/) noexcept {
  cudaFreeHost(block);
}

MemoryPool<Cuda>::MemoryPool(int device) {
  check_cuda(cudaSetDevice(device), "cudaSetDevice");
  check_cuda(cudaStreamCreateWithFlags(&queue_, cudaStreamNonBlocking),
             "cudaStreamCreateWithFlags");
  // What was released stays with the process: a step takes what the step before has released.
  cudaMemPool_t pool = nullptr;
  check_cuda(cudaDeviceGetDefaultMemPool(&pool, device), "cudaDeviceGetDefaultMemPool");
  std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();
  check_cuda(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep),
             "cudaMemPoolSetAttribute");
}

MemoryPool<Cuda>::~MemoryPool() { cudaStreamDestroy(queue_); }

void* MemoryPool<Cuda>::allocate(std::size_t bytes, std::size_t& capacity) {
  capacity = std::max<std::size_t>(bytes, 1);
  void* block = nullptr;
  check_cuda(cudaMallocAsync(&block, capacity, queue_), "cudaMallocAsync");
  bytes_ += capacity;
  return block;
}

void MemoryPool<Cuda>::release(void* block, std::size_t capacity) noexcept {
  cudaFreeAsync(block, queue_);
  bytes_ -= capacity;
}

}  // namespace keyshard
