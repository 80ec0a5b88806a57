#include <bit>
#include <cstdint>

#include <sys/mman.h>

#include "runtime/error.hpp"
#include "runtime/memory_pool.hpp"

namespace keyshard {
namespace {

constexpr std::size_t kHuge = std::size_t{2} << 20;
constexpr std::size_t kPage = 4096;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

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

void* map_memory(std::size_t bytes) {
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

void unmap_memory(void* block, std::size_t bytes) noexcept { munmap(block, bytes); }

MemoryPool::~MemoryPool() {
  for (auto& [capacity, blocks] : free_) {
    for (void* block : blocks) {
      unmap_memory(block, capacity);
    }
  }
}

void* MemoryPool::allocate(std::size_t bytes, std::size_t& capacity) {
  capacity = size_class(bytes);
  const std::lock_guard lock(mutex_);
  std::vector<void*>& blocks = free_[capacity];
  if (!blocks.empty()) {
    void* block = blocks.back();
    blocks.pop_back();
    return block;
  }
  void* block = map_memory(capacity);
  bytes_ += capacity;
  return block;
}

void MemoryPool::release(void* block, std::size_t capacity) noexcept {
  const std::lock_guard lock(mutex_);
  free_[capacity].push_back(block);
}

std::size_t MemoryPool::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace keyshard
