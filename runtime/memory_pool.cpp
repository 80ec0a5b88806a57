#include "runtime/memory_pool.hpp"

#include <bit>
#include <cstdint>

#include <sys/mman.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::size_t kHuge = std::size_t{2} << 20;
constexpr std::size_t kPage = 4096;

/// Sizes are rounded to an eighth of a power of two, so that buffers that differ a little share
/// blocks.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= kPage) {
    return kPage;
  }
  const std::size_t step = std::bit_floor(bytes - 1) / 8;
  return round_up(round_up(bytes, step < kPage ? kPage : step), bytes >= kHuge ? kHuge : kPage);
}

}  // namespace

template <>
void* map_memory<Cpu>(std::size_t bytes) {
  const bool huge = bytes >= kHuge;
  const std::size_t slack = huge ? kHuge : 0;
  void* raw =
      mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(raw != MAP_FAILED, Kind::out_of_memory, "the system refused memory: bytes {}", bytes);
  if (!huge) {
    return raw;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(raw);
  const std::uintptr_t aligned = round_up(address, kHuge);
  if (aligned != address) {
    munmap(raw, aligned - address);
  }
  munmap(reinterpret_cast<void*>(aligned + bytes), address + slack - aligned);
  void* block = reinterpret_cast<void*>(aligned);
  madvise(block, bytes, MADV_HUGEPAGE);  // advice: small pages do as well
  return block;
}

template <>
void unmap_memory<Cpu>(void* block, std::size_t bytes) noexcept {
  munmap(block, bytes);
}

template <>
void* map_host_memory<Cpu>(std::size_t bytes) {
  return map_memory<Cpu>(bytes);
}

template <>
void unmap_host_memory<Cpu>(void* block, std::size_t bytes) noexcept {
  unmap_memory<Cpu>(block, bytes);
}

template <Backend B>
MemoryPool<B>::~MemoryPool() {
  for (auto& [capacity, blocks] : classes_) {
    for (void* block : blocks.free) {
      unmap_memory<B>(block, capacity);
    }
  }
}

template <Backend B>
void* MemoryPool<B>::allocate(std::size_t bytes, std::size_t& capacity) {
  capacity = size_class(bytes);
  const std::lock_guard lock(mutex_);
  SizeClass& blocks = classes_[capacity];
  if (blocks.free.empty()) {
    blocks.free.reserve(blocks.blocks + 1);
    void* block = map_memory<B>(capacity);
    ++blocks.blocks;
    bytes_ += capacity;
    return block;
  }
  void* block = blocks.free.back();
  blocks.free.pop_back();
  return block;
}

template <Backend B>
void MemoryPool<B>::release(void* block, std::size_t capacity) noexcept {
  const std::lock_guard lock(mutex_);
  classes_.find(capacity)->second.free.push_back(block);
}

template <Backend B>
std::size_t MemoryPool<B>::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

template class MemoryPool<Cpu>;

}  // namespace keyshard
