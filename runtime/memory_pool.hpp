// Memory of a stream. Blocks are kept by size and handed out again, so that the buffers of a step
// cost no page faults after the first steps. Blocks of 2 MiB and more lie on huge pages where the
// system offers them.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace keyshard {

class MemoryPool {
 public:
  MemoryPool() = default;
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  /// A block of at least `bytes` bytes, uninitialised, aligned to 64 bytes (2 MiB for large
  /// blocks). `capacity` becomes its size, to be given back with it. Throws Error{out_of_memory}.
  /// Thread-safe.
  void* allocate(std::size_t bytes, std::size_t& capacity);
  void release(void* block, std::size_t capacity) noexcept;

  /// Bytes obtained from the system, in use or kept.
  std::size_t bytes() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;  // capacity -> blocks
  std::size_t bytes_ = 0;
};

/// Memory straight from the system, zeroed and aligned to 2 MiB if it is as large. Throws
/// Error{out_of_memory}.
void* map_memory(std::size_t bytes);
void unmap_memory(void* block, std::size_t bytes) noexcept;

}  // namespace keyshard
