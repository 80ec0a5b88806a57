// Memory of the simulated device. Each allocation has pages of its own, ends before a closed page,
// starts as garbage, and is closed to the host except while work of the device runs. An address is
// never used twice.
#pragma once

#include <cstddef>

namespace keyshard::sim {

/// Aligned to 256 bytes.
void* allocate(std::size_t bytes);

/// Throws Failure where `block` is no allocation, or where something was written behind its end.
void release_memory(void* block);

/// Whether all of `bytes` bytes lie in one allocation.
bool is_device(const void* address, std::size_t bytes);

/// Pinned memory of the host, which kernels may read and write too.
void* allocate_pinned(std::size_t bytes);
void release_pinned(void* block);

/// Whether all of `bytes` bytes lie in one pinned block.
bool is_pinned(const void* address, std::size_t bytes);

/// Bytes that are allocated.
std::size_t allocated_bytes();

/// Memory of the device is open while one of these stands.
class Opened {
 public:
  Opened();
  ~Opened();
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
};

/// A plain access of the calling lane. Fails the launch where it is not one of device memory, of
/// the lane's stack or of the kernel's parameter, or where `aligned` is asked and missing.
void check_access(const void* address, std::size_t bytes, bool write, bool aligned);

}  // namespace keyshard::sim
