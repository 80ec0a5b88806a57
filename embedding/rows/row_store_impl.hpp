// The bodies of RowStore.
#pragma once

#include <algorithm>

#include "embedding/rows/row_store.hpp"
#include "runtime/error.hpp"
#include "runtime/memory_pool.hpp"

namespace keyshard {

template <Backend B>
RowStore<B>::RowStore(std::int64_t stride) {
  constexpr std::int64_t kFirstBytes = 64 << 10;
  const std::int64_t row_bytes = stride * static_cast<std::int64_t>(sizeof(float));
  ref_.stride = stride;
  ref_.first_rows = std::bit_floor(
      static_cast<std::uint32_t>(std::max<std::int64_t>(kFirstBytes / row_bytes, 1)));
  ref_.first_bits = std::countr_zero(ref_.first_rows);
}

template <Backend B>
std::int64_t RowStore<B>::slab_rows(int slab) const {
  const std::int64_t first = ref_.first_rows, before = (first << slab) - first;
  return std::min(first << slab, most_ - before);
}

template <Backend B>
std::size_t RowStore<B>::slab_bytes(int slab) const {
  return static_cast<std::size_t>(slab_rows(slab) * ref_.stride) * sizeof(float);
}

template <Backend B>
RowStore<B>::~RowStore() {
  for (int slab = 0; slab < slabs_; ++slab) {
    unmap_memory<B>(ref_.slabs[slab], slab_bytes(slab));
  }
}

template <Backend B>
RowId RowStore<B>::allocate(std::int64_t rows) {
  const std::lock_guard lock(mutex_);
  require(
      rows <= most_ - size_, Kind::out_of_memory,
      "expected at most {} rows of a table on one rank; use more ranks: rows {}, wanted {} more",
      most_, size_, rows);
  while (size_ + rows > capacity_) {
    ref_.slabs[slabs_] = static_cast<float*>(map_memory<B>(slab_bytes(slabs_)));
    bytes_ += slab_bytes(slabs_);
    capacity_ += slab_rows(slabs_);
    ++slabs_;
  }
  const auto first = static_cast<RowId>(size_);
  size_ += rows;
  return first;
}

template <Backend B>
void RowStore<B>::truncate(std::int64_t rows) {
  const std::lock_guard lock(mutex_);
  size_ = rows;
  while (slabs_ > 0 && capacity_ - slab_rows(slabs_ - 1) >= rows) {
    --slabs_;
    unmap_memory<B>(ref_.slabs[slabs_], slab_bytes(slabs_));
    ref_.slabs[slabs_] = nullptr;
    bytes_ -= slab_bytes(slabs_);
    capacity_ -= slab_rows(slabs_);
  }
}

}  // namespace keyshard
