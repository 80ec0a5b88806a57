#include "embedding/rows/row_store.hpp"

#include <algorithm>

#include "runtime/error.hpp"
#include "runtime/memory_pool.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kFirstBytes = 64 << 10;
constexpr int kMaxSlabs = 33;

}  // namespace

RowStore::RowStore(std::int64_t stride) : stride_(stride) {
  const std::int64_t row_bytes = stride * static_cast<std::int64_t>(sizeof(float));
  first_rows_ = std::bit_floor(
      static_cast<std::uint32_t>(std::max<std::int64_t>(kFirstBytes / row_bytes, 1)));
  slabs_.reserve(kMaxSlabs);  // the place of the pointers never moves
}

RowStore::~RowStore() {
  for (std::size_t k = 0; k < slabs_.size(); ++k) {
    unmap_memory<Cpu>(slabs_[k], (std::size_t{first_rows_} << k) *
                                     static_cast<std::size_t>(stride_) * sizeof(float));
  }
}

RowId RowStore::allocate(std::int64_t rows) {
  const std::lock_guard lock(mutex_);
  require(
      rows <= std::int64_t{kNoRow} - size_, Kind::out_of_memory,
      "a table holds at most 2^32 - 1 rows on one rank; use more ranks: rows {}, wanted {} more",
      size_, rows);
  while (size_ + rows > capacity_) {
    const std::int64_t slab = std::int64_t{first_rows_} << slabs_.size();
    const std::size_t bytes = static_cast<std::size_t>(slab * stride_) * sizeof(float);
    slabs_.push_back(static_cast<float*>(map_memory<Cpu>(bytes)));
    bytes_ += bytes;
    capacity_ += slab;
  }
  const auto first = static_cast<RowId>(size_);
  size_ += rows;
  return first;
}

}  // namespace keyshard
