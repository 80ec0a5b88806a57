// Doubles of the CUDA runtime calls that give memory and copy it (cudart_double.cpp).
#include <cstring>
#include <memory>
#include <vector>

#include "tests/sim/cudart_double.hpp"
#include "tests/sim/memory.hpp"
#include "tests/sim/queues.hpp"

namespace keyshard::sim {
namespace {

/// What a copy reads: pageable memory of the host is staged by the call, pinned memory is read when
/// the queue comes to the copy.
std::shared_ptr<std::vector<unsigned char>> staged(const void* from, std::size_t bytes,
                                                   cudaMemcpyKind kind) {
  if (kind != cudaMemcpyHostToDevice || is_pinned(from, bytes)) {
    return nullptr;
  }
  const auto* first = static_cast<const unsigned char*>(from);
  return std::make_shared<std::vector<unsigned char>>(first, first + bytes);
}

}  // namespace
}  // namespace keyshard::sim

using namespace keyshard::sim;

extern "C" {

cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  return guarded([&] { *block = allocate(bytes); });
}

/// Waits for the device.
cudaError_t cudaFree(void* block) {
  return guarded([&] {
    finish_all();
    if (block != nullptr) {
      release_memory(block);
    }
  });
}

cudaError_t cudaMallocAsync(void** block, std::size_t bytes, cudaStream_t) {
  return cudaMalloc(block, bytes);
}

cudaError_t cudaFreeAsync(void* block, cudaStream_t stream) {
  return guarded([&] {
    enqueue(queue_of(stream), [block] {
      release_memory(block);
      return true;
    });
  });
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  *pool = nullptr;
  return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }

cudaError_t cudaMallocHost(void** block, std::size_t bytes) {
  *block = allocate_pinned(bytes);
  return cudaSuccess;
}

/// Waits for the device.
cudaError_t cudaFreeHost(void* block) {
  return guarded([&] {
    finish_all();
    release_pinned(block);
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (bytes > 0 && (to_device != is_device(to, to_device ? bytes : 1) ||
                    from_device != is_device(from, from_device ? bytes : 1))) {
    return refuse(cudaErrorInvalidValue);
  }
  count_copy(kind, bytes);
  return guarded([&] {
    // The operation alone owns the staged bytes, which the thread that runs it frees.
    enqueue(queue_of(stream), [to, from, bytes, copy = staged(from, bytes, kind)] {
      std::memcpy(to, copy == nullptr ? from : copy->data(), bytes);
      return true;
    });
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  if (bytes > 0 && !is_device(to, bytes)) {
    return refuse(cudaErrorInvalidValue);
  }
  return guarded([&] {
    enqueue(queue_of(stream), [=] {
      std::memset(to, value, bytes);
      return true;
    });
  });
}

}  // extern "C"
