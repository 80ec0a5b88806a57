#include "runtime/arena.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "runtime/memory_pool.hpp"

namespace keyshard {
namespace {

constexpr std::size_t kUnit = 64;
constexpr std::size_t kFirst = std::size_t{64} << 10;
constexpr std::size_t kLargest = std::size_t{32} << 20;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

Arena::~Arena() {
  for (const Mapping& mapping : mappings_) {
    unmap_memory<Cpu>(mapping.data, mapping.bytes);
  }
}

void Arena::erase_free(std::map<std::size_t, std::size_t>::iterator hole) {
  by_size_.erase({hole->second, hole->first});
  holes_.erase(hole);
}

void Arena::insert_free(std::size_t address, std::size_t bytes) {
  auto next = holes_.lower_bound(address);
  if (next != holes_.end() && address + bytes == next->first) {
    bytes += next->second;
    erase_free(next);
  }
  auto before = holes_.lower_bound(address);
  if (before != holes_.begin()) {
    before = std::prev(before);
    if (before->first + before->second == address) {
      address = before->first;
      bytes += before->second;
      erase_free(before);
    }
  }
  holes_.emplace(address, bytes);
  by_size_.emplace(bytes, address);
}

std::size_t Arena::take(std::size_t bytes) {
  auto fit = by_size_.lower_bound({bytes, 0});
  if (fit == by_size_.end()) {
    // Mappings grow with the arena, so that small tables stay small.
    const std::size_t step = std::clamp(round_up(bytes_, kFirst), kFirst, kLargest);
    const std::size_t size =
        round_up(std::max(bytes, step), bytes >= kLargest / 16 ? std::size_t{2} << 20 : kFirst);
    mappings_.push_back({map_memory<Cpu>(size), size});
    bytes_ += size;
    insert_free(reinterpret_cast<std::size_t>(mappings_.back().data), size);
    fit = by_size_.lower_bound({bytes, 0});
  }
  const auto [hole, address] = *fit;
  erase_free(holes_.find(address));
  if (hole > bytes) {
    holes_.emplace(address + bytes, hole - bytes);
    by_size_.emplace(hole - bytes, address + bytes);
  }
  return address;
}

void* Arena::allocate(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  return reinterpret_cast<void*>(take(round_up(std::max<std::size_t>(bytes, 1), kUnit)));
}

void Arena::release(void* block, std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  insert_free(reinterpret_cast<std::size_t>(block),
              round_up(std::max<std::size_t>(bytes, 1), kUnit));
}

}  // namespace keyshard
