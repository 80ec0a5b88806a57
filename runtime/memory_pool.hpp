// Memory of a stream. Blocks are kept by size and handed out again, so that the buffers of a step
// cost no page faults after the first steps. On a CPU blocks of 2 MiB and more lie on huge pages
// where the system offers them.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

#include "runtime/backend.hpp"

struct CUstream_st;

namespace keyshard {

/// Memory of a device straight from the system. On a CPU it is zeroed, and aligned to 2 MiB where
/// `bytes` is 2 MiB or more, else to a page; on a CUDA device, that of the calling thread, it holds
/// anything, and unmapping waits for all work of the device. Throws Error{out_of_memory}.
template <Backend B>
void* map_memory(std::size_t bytes);
template <Backend B>
void unmap_memory(void* block, std::size_t bytes) noexcept;

template <>
void* map_memory<Cpu>(std::size_t bytes);
template <>
void unmap_memory<Cpu>(void* block, std::size_t bytes) noexcept;
template <>
void* map_memory<Cuda>(std::size_t bytes);
template <>
void unmap_memory<Cuda>(void* block, std::size_t bytes) noexcept;

/// Memory of the host that kernels of a device may read and write, and that it copies from and to
/// without a detour: pinned memory for a CUDA device. Content and errors are those of map_memory.
template <Backend B>
void* map_host_memory(std::size_t bytes);
template <Backend B>
void unmap_host_memory(void* block, std::size_t bytes) noexcept;

template <>
void* map_host_memory<Cpu>(std::size_t bytes);
template <>
void unmap_host_memory<Cpu>(void* block, std::size_t bytes) noexcept;
template <>
void* map_host_memory<Cuda>(std::size_t bytes);
template <>
void unmap_host_memory<Cuda>(void* block, std::size_t bytes) noexcept;

/// The smallest multiple of `unit` that is at least `bytes`.
inline std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

template <Backend B>
class MemoryPool {
 public:
  MemoryPool() = default;
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  /// A block of at least `bytes` bytes, uninitialised, aligned to 64 bytes (2 MiB for large
  /// blocks). `capacity` becomes the size of the block, which `release` needs. Throws
  /// Error{out_of_memory}. Thread-safe.
  void* allocate(std::size_t bytes, std::size_t& capacity);

  /// Takes a block back and allocates nothing. The next `allocate` may hand the block out while
  /// work that the stream has queued still uses it: later work of the same stream comes after.
  void release(void* block, std::size_t capacity) noexcept;

  /// Bytes obtained from the system, in use or kept.
  std::size_t bytes() const;

 private:
  /// Blocks of one size.
  struct SizeClass {
    std::vector<void*> free;  ///< has room for all blocks of the size
    std::size_t blocks = 0;
  };

  mutable std::mutex mutex_;
  std::map<std::size_t, SizeClass> classes_;
  std::size_t bytes_ = 0;
};

extern template class MemoryPool<Cpu>;

/// The memory of a CUDA device in the order of one of its queues, by cudaMallocAsync: the runtime
/// keeps what is released and hands it out again. Owns the queue, so that a buffer may outlive the
/// Stream that it was made on.
template <>
class MemoryPool<Cuda> {
 public:
  /// Makes a queue of `device`. Throws Error{device}.
  explicit MemoryPool(int device);
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  CUstream_st* queue() const noexcept { return queue_; }

  void* allocate(std::size_t bytes, std::size_t& capacity);
  void release(void* block, std::size_t capacity) noexcept;

  /// Bytes of the blocks in use.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  CUstream_st* queue_ = nullptr;
  std::atomic<std::size_t> bytes_{0};
};

}  // namespace keyshard
