#include "runtime/arena.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace keyshard {
namespace {

constexpr std::size_t kUnit = 64;
constexpr std::size_t kFirst = std::size_t{64} << 10;
constexpr std::size_t kLargest = std::size_t{32} << 20;

/// What a block that was asked for with `bytes` takes.
std::size_t rounded(std::size_t bytes) { return round_up(std::max<std::size_t>(bytes, 1), kUnit); }

}  // namespace

Arena::~Arena() {
  for (const Mapping& mapping : mappings_) {
    unmap_(mapping.data, mapping.bytes);
  }
}

/// Makes the spare nodes that the release of one block more may need.
void Arena::add_spares() {
  if (spare_holes_.size() <= blocks_) {
    spare_holes_.emplace(0, 0);
  }
  if (spare_sizes_.size() <= blocks_) {
    spare_sizes_.emplace(0, 0);
  }
}

void Arena::take_out(Hole hole) {
  spare_holes_.insert(spare_holes_.end(), holes_.extract(hole.address));
  spare_sizes_.insert(spare_sizes_.end(), by_size_.extract({hole.bytes, hole.address}));
}

void Arena::put_in(Hole hole) {
  auto place = spare_holes_.extract(spare_holes_.begin());
  place.key() = hole.address;
  place.mapped() = hole.bytes;
  holes_.insert(std::move(place));
  auto size = spare_sizes_.extract(spare_sizes_.begin());
  size.value() = {hole.bytes, hole.address};
  by_size_.insert(std::move(size));
}

/// Puts in a hole as one with the holes that touch it.
void Arena::put_in_melted(Hole hole) {
  const auto next = holes_.lower_bound(hole.address);
  const Hole after = next == holes_.end() ? Hole{0, 0} : Hole{next->first, next->second};
  const Hole before =
      next == holes_.begin() ? Hole{0, 0} : Hole{std::prev(next)->first, std::prev(next)->second};
  if (after.address == hole.address + hole.bytes) {
    take_out(after);
    hole.bytes += after.bytes;
  }
  if (before.bytes > 0 && before.address + before.bytes == hole.address) {
    take_out(before);
    hole = {before.address, before.bytes + hole.bytes};
  }
  put_in(hole);
}

/// Maps memory that has room for a block.
void Arena::map_for(std::size_t bytes) {
  // Mappings grow with the arena, so that small tables stay small.
  const std::size_t step = std::clamp(round_up(bytes_, kFirst), kFirst, kLargest);
  const std::size_t size =
      round_up(std::max(bytes, step), bytes >= kLargest / 16 ? std::size_t{2} << 20 : kFirst);
  mappings_.reserve(mappings_.size() + 1);
  mappings_.push_back({map_(size), size});
  bytes_ += size;
  put_in_melted({reinterpret_cast<std::size_t>(mappings_.back().data), size});
}

void* Arena::allocate(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const std::size_t taken = rounded(bytes);
  add_spares();
  if (by_size_.lower_bound({taken, 0}) == by_size_.end()) {
    map_for(taken);
    add_spares();
  }
  const auto [bytes_of_hole, address] = *by_size_.lower_bound({taken, 0});
  take_out({address, bytes_of_hole});
  if (bytes_of_hole > taken) {
    put_in({address + taken, bytes_of_hole - taken});
  }
  ++blocks_;
  return reinterpret_cast<void*>(address);
}

void Arena::release(void* block, std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  put_in_melted({reinterpret_cast<std::size_t>(block), rounded(bytes)});
  --blocks_;
}

}  // namespace keyshard
